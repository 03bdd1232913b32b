#!/usr/bin/env python3
"""Runs that end before they should: killed at random instants, interrupted, started twice, their
journal cut at every byte or with rubbish at its end. The next run of the same command goes on,
and what it makes holds the same as if nothing had happened.

usage: extract_kills.py BUILD [PART...]     parts: kills progress signals stuck twice cut rubbish
PF_SEED=N repeats a run's instants; PF_KILLS=N kills so often.
"""
import collections
import concurrent.futures
import functools
import os
import random
import shutil
import signal
import struct
import sys
import time

from trial import (check, check_same, command, digests, expect, finish, leftovers, main, run, start,
                   write_dataset, write_image)

IMAGES = 120
BATCH = 4
SEED = int(os.environ.get("PF_SEED", time.time_ns() % 1000000))
KILLS = int(os.environ.get("PF_KILLS", 216))
# (--workers, --sync-seconds or None for the default)
WAYS = [(workers, sync) for workers in (1, 2, 4) for sync in (0.02, None)]
JOURNAL = "out.h5.journal"


def options(workers=2, sync=None, batch=BATCH):
    return ["--workers", workers, "--batch", batch, *(["--sync-seconds", sync] if sync is not None else [])]


def new_place(folder, name, old=None):
    """A folder for one output, and the cache it begins with."""
    place = folder / name
    place.mkdir()
    if old:
        shutil.copy2(old, place / "out.h5")
    return place


def check_end(place, wanted, where):
    check_same(place / "out.h5", wanted, where)
    left = [name for name in leftovers(place) if name.endswith(".journal")]
    check(not left, f"{where}: left {left}")


# ---- SIGKILL ----

def run_and_kill(arguments, place, delay, **variables):
    """Whether it was killed; it may have been done before."""
    process = start(arguments, place, **variables)
    try:
        process.wait(timeout=delay)
    except Exception:
        process.kill()
    result = finish(process)
    check(result.code in (0, -signal.SIGKILL), f"{place.name}: exit code {result.code}\n{result.err}")
    return result.code != 0


def moment_of(place, is_new):
    """How far a killed run had come, by what it left."""
    if is_new:
        return "after renaming"
    if any(".part-" in name for name in leftovers(place)):
        return "composing"
    return "computing" if (place / JOURNAL).exists() else "before"


def kill_until_done(folder, task, wanted, old, duration):
    """One output through up to five kills. At which moments they came."""
    number, (workers, sync) = task
    generator = random.Random(f"{SEED}-{number}")
    place = new_place(folder, f"kill-{number}", old if generator.random() < 0.5 else None)
    before = (place / "out.h5").read_bytes() if (place / "out.h5").exists() else None
    arguments = command("../images", "out.h5", *options(workers, sync))
    delays = [generator.uniform(0, duration) for _ in range(generator.randint(1, 5))]
    where = f"kill-{number} (seed {SEED}, {workers} workers, sync {sync}, delays {delays})"
    moments = []
    for delay in delays:
        if not run_and_kill(arguments, place, delay, FAKE_BACKBONE_MS=4):
            break
        out = place / "out.h5"
        is_new = out.exists() and out.read_bytes() != before
        moments.append(moment_of(place, is_new))
        if is_new:
            check_same(out, wanted, where)
    expect(0, run(arguments, place), where)
    check_end(place, wanted, where)
    shutil.rmtree(place)
    return moments


def kills(folder, wanted, old):
    started = time.time()
    place = new_place(folder, "whole")
    expect(0, run(command("../images", "out.h5", *options()), place, FAKE_BACKBONE_MS=4))
    duration = time.time() - started
    done = {way: 0 for way in WAYS}
    moments = collections.Counter()
    number = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        while sum(done.values()) < KILLS:
            tasks = [(number + i, WAYS[(number + i) % len(WAYS)]) for i in range(2 * len(WAYS))]
            number += len(tasks)
            results = pool.map(lambda task: kill_until_done(folder, task, wanted, old, duration), tasks)
            for task, killed in zip(tasks, results):
                done[task[1]] += len(killed)
                moments.update(killed)
    print(f"kills: {sum(done.values())} in {number} outputs and {time.time() - started:.0f} s; a run takes {duration:.2f} s")
    print(" ", ", ".join(f"{moment}: {count}" for moment, count in moments.most_common()))
    print(" ", ", ".join(f"{w} workers, sync {s or 'default'}: {n}" for (w, s), n in done.items()))


# ---- how much a kill costs ----

def computed_images(log):
    return sum(int(line) for line in log.read_text().split()) if log.exists() else 0


def computes(process, log, images):
    """Waits until so many images were computed; False where the run was done before."""
    while computed_images(log) < images:
        if process.poll() is not None:
            check(process.returncode == 0, f"ended too early: {process.returncode}")
            return False
        time.sleep(0.002)
    return True


def wait_computed(process, log, images):
    check(computes(process, log, images), f"was done before {images} images were computed")


def progress(folder, wanted, _):
    """A kill loses what one sync interval and the batches under way hold, and no more."""
    place, log = new_place(folder, "progress"), folder / "progress.log"
    milliseconds, sync, under_way = 20, 0.1, 4
    arguments = command("../images", "out.h5", *options(2, sync))
    kills_done = 0
    # The last two are reached only where kills made the run compute images again.
    for target in (40, 80, 120, 140):
        process = start(arguments, place, FAKE_BACKBONE_MS=milliseconds, FAKE_BACKBONE_LOG=log)
        if not computes(process, log, target):
            finish(process)
            break
        process.kill()
        finish(process)
        kills_done += 1
    check(kills_done >= 2, f"only {kills_done} runs were killed")
    expect(0, run(arguments, place, FAKE_BACKBONE_LOG=log), "progress")
    check_end(place, wanted, "progress")
    lost = computed_images(log) - IMAGES
    interval = BATCH * (sync * 1000 / milliseconds + under_way)
    # Another machine may be slower; twice the time is fine, starting over is not.
    check(lost <= kills_done * 2 * interval, f"{kills_done} kills cost {lost} images of {IMAGES}")
    print(f"progress: {kills_done} kills cost {lost} images, {kills_done * interval:.0f} lie in an interval")


# ---- other ends ----

def signals(folder, wanted, _):
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        place, log = new_place(folder, f"signal-{number}"), folder / f"signal-{number}.log"
        arguments = command("../images", "out.h5", *options())
        process = start(arguments, place, FAKE_BACKBONE_MS=20, FAKE_BACKBONE_LOG=log)
        wait_computed(process, log, 60)
        process.send_signal(number)
        result = finish(process)
        where = f"signal {number}"
        expect(code, result, where)
        check("interrupted after " in result.err, f"{where}: {result.err}")
        check((place / JOURNAL).exists() and not (place / "out.h5").exists(), f"{where}: no journal, or a cache")
        before = computed_images(log)
        expect(0, run(arguments, place, FAKE_BACKBONE_LOG=log), where)
        check_end(place, wanted, where)
        # What had been handed on was kept: only batches under way were computed twice.
        lost = computed_images(log) - IMAGES
        check(lost <= 6 * BATCH, f"{where}: {lost} of {before} images were computed again")
    print("signals: SIGINT and SIGTERM")


def stuck(folder, wanted, _):
    """What waits for the next sync is kept, too, where a batch takes longer than a process is left after
    a signal."""
    place, log = new_place(folder, "stuck"), folder / "stuck.log"
    arguments = command("../images", "out.h5", *options(sync=1000))
    process = start(arguments, place, FAKE_BACKBONE_MS=10, FAKE_BACKBONE_STUCK_AT=10, FAKE_BACKBONE_LOG=log)
    wait_computed(process, log, 10 * BATCH)
    process.send_signal(signal.SIGTERM)
    result = expect(143, finish(process), "stuck")
    check("ended at once" in result.err, f"stuck: {result.err}")
    expect(0, run(arguments, place, FAKE_BACKBONE_LOG=log), "stuck")
    check_end(place, wanted, "stuck")
    lost = computed_images(log) - IMAGES
    check(lost <= BATCH, f"stuck: {lost} images were computed again")
    print("stuck: what was computed before is kept")


def twice(folder, wanted, _):
    place, log = new_place(folder, "twice"), folder / "twice.log"
    arguments = command("../images", "out.h5", *options())
    first = start(arguments, place, FAKE_BACKBONE_MS=60, FAKE_BACKBONE_LOG=log)
    wait_computed(first, log, 8)
    second = run(arguments, place)
    expect(75, second, "the second run")
    check("another extract is writing" in second.err, f"the second run: {second.err}")
    forced = run([*arguments, "--force"], place)
    expect(75, forced, "a second run with --force")
    check("another extract is writing" in forced.err, f"the forced run: {forced.err}")
    expect(0, finish(first), "the first run")
    check_end(place, wanted, "twice")
    check(computed_images(log) == IMAGES, "the second run disturbed the first")
    (place / "out.h5").unlink()
    many = [start(arguments, place) for _ in range(4)]
    results = [finish(process) for process in many]
    codes = sorted(result.code for result in results)
    check(set(codes) <= {0, 75}, f"four at once: exit codes {codes}\n{''.join(result.err for result in results)}")
    expect(0, run(arguments, place), "after four at once")
    check_end(place, wanted, "after four at once")
    print(f"twice: refused; four at once: {codes}")


# ---- journals that were cut ----

HEADER = struct.Struct("<IIQQQ")


def records(journal):
    """(offset, type, size with header) of each record."""
    found, at = [], 0
    while at < len(journal):
        _, kind, _, size, _ = HEADER.unpack_from(journal, at)
        found.append((at, kind, HEADER.size + size))
        at += HEADER.size + size
    check(at == len(journal), "the journal's records do not end with the file")
    return found


@functools.lru_cache
def small_journal(folder):
    """A journal whose last records are short: rows of three numbers."""
    small = folder / "small"
    write_dataset(small, range(24))
    place = new_place(folder, "small-start")
    arguments = [word.replace("mean,pixels", "mean") for word in command("../small", "out.h5", *options(2, 0, batch=3))]
    expect(0, run(arguments, place), "small")
    wanted = digests(place / "out.h5")
    (place / "out.h5").unlink()
    expect(1, run(arguments, place, FAKE_BACKBONE_FAIL_AT=6), "small, to be cut")
    return arguments, (place / JOURNAL).read_bytes(), wanted


def resume_from(folder, name, arguments, journal, wanted):
    place = new_place(folder, name)
    (place / JOURNAL).write_bytes(journal)
    result = expect(0, run(arguments, place), name)
    check_end(place, wanted, name)
    shutil.rmtree(place)
    return result


def cut(folder, *_):
    started = time.time()
    arguments, journal, wanted = small_journal(folder)
    ends = [at for at, _, _ in records(journal)] + [len(journal)]
    sizes = range(ends[-3], ends[-1] + 1)

    def one(size):
        result = resume_from(folder, f"cut-{size}", arguments, journal[:size], wanted)
        if size not in ends:
            check("damaged" in result.err or "dropped" in result.err, f"cut-{size}: nothing said\n{result.err}")
        return 1

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        count = sum(pool.map(one, sizes))
    print(f"cut: {count} lengths of a journal of {len(ends) - 1} records in {time.time() - started:.0f} s")


def rubbish(folder, *_):
    arguments, journal, wanted = small_journal(folder)
    found = records(journal)
    last = journal[found[-1][0]:]
    generator = random.Random(SEED)
    endings = {
        "noise": generator.randbytes(5000),
        "zeros": bytes(4096),
        "byte": b"x",
        "last-record-again": last,
        "first-record-again": journal[:found[1][0]],
        "header-of-a-huge-record": last[:16] + struct.pack("<Q", 1 << 62) + last[24:],
        "size-that-overflows": last[:16] + struct.pack("<Q", (1 << 64) - 8) + last[24:],
    }
    for name, ending in endings.items():
        result = resume_from(folder, name, arguments, journal + ending, wanted)
        check("dropped" in result.err or "damaged" in result.err, f"{name}: nothing said\n{result.err}")
    flipped = 0
    for at, _, size in found:  # one bit in each record's header and payload
        for place in (at, at + 9, at + 17, at + 25, at + size - 1):
            damaged = bytearray(journal)
            damaged[place] ^= 1 << generator.randrange(8)
            name, target = f"flip-{place}", new_place(folder, f"flip-{place}-{flipped}")
            (target / JOURNAL).write_bytes(damaged)
            result = run(arguments, target)
            check(result.code in (0, 1), f"{name}: exit code {result.code}\n{result.err}")
            check(result.err.strip(), f"{name}: nothing said")
            if result.code == 0:
                check_end(target, wanted, name)
            shutil.rmtree(target)
            flipped += 1
    foreign(folder, arguments)
    print(f"rubbish: {len(endings)} endings, {flipped} flipped bits")


def foreign(folder, arguments):
    """A file of that name which is no journal is somebody's; it is not cut."""
    place = new_place(folder, "foreign")
    for content in (b"my thesis, the only copy\n" * 40, b"short"):
        (place / JOURNAL).write_bytes(content)
        result = expect(1, run(arguments, place), "a journal that is none")
        check(JOURNAL in result.err, f"a journal that is none: {result.err}")
        check((place / JOURNAL).read_bytes() == content, "a file that is no journal was changed")
    (place / JOURNAL).unlink()
    (place / JOURNAL).mkdir()
    expect(1, run(arguments, place), "a folder in the journal's place")


# ---- all of it ----

PARTS = {"kills": kills, "progress": progress, "signals": signals, "stuck": stuck, "twice": twice, "cut": cut,
         "rubbish": rubbish}


def body(folder):
    started = time.time()
    print(f"PF_SEED={SEED}", flush=True)
    write_dataset(folder / "images", range(IMAGES))
    (folder / "images" / "b" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    os.utime(folder / "images" / "b" / "broken.png", (1.6e9, 1.6e9))
    write_dataset(folder / "fewer", range(30, 90))
    write_image(folder / "fewer", 35, seed=2035)
    for dataset in ("images", "fewer"):
        place = new_place(folder, f"wanted-{dataset}")
        expect(0, run(command(f"../{dataset}", "out.h5", *options()), place), f"the wanted run of {dataset}")
    wanted = digests(folder / "wanted-images" / "out.h5")
    old = folder / "wanted-fewer" / "out.h5"
    for name in sys.argv[2:] or PARTS:
        PARTS[name](folder, wanted, old)
        sys.stdout.flush()
    print(f"{time.time() - started:.0f} s")


main(body)
