#!/usr/bin/env python3
"""Every call that can fail does, one after the other: a message, an exit code, no crash, no
hang, the cache of before still there or the new one whole, and a run without faults after it
that ends as if nothing had happened.

usage: extract_faults.py BUILD [KIND...]     PF_LONG=1: more calls of each kind, PF_FAULTS=all: every call
"""
import collections
import concurrent.futures
import os
import shutil
import sys
import time

from trial import (EXTRACT, INJECTOR, Failed, check, check_same, command, differences, digests, expect, finish, leftovers,
                   main, run, skip, start, write_dataset, write_image)

# Kind of call (tests/tools/fault_injector.c): what fails how; "+": all from then on.
FAULTS = {
    "write": ["ENOSPC", "+ENOSPC", "EIO", "short", "+short", "EINTR"],
    "sync": ["EIO", "+EIO"],
    "hint": ["EIO", "+EIO"],
    "rename": ["EACCES", "+EIO"],
    "truncate": ["EIO", "+EIO"],
    "create": ["ENOSPC", "EACCES", "+EMFILE"],
    "open": ["EMFILE", "+EACCES"],
    "read": ["EIO", "+EIO", "short", "+short", "EINTR"],
    "map": ["ENOMEM", "+ENOMEM"],
    "lock": ["ENOLCK", "+ENOLCK"],
    "thread": ["EAGAIN", "+EAGAIN"],
    "memory": ["ENOMEM", "+ENOMEM"],
    "hdf5": ["ENOMEM"],
}
# How many calls of a kind and fault are tried in each scenario; all where there are fewer.
IS_LONG = bool(os.environ.get("PF_LONG"))
SHARE = {"memory": 16, "read": 6} if IS_LONG else {"memory": 6}
USUAL_SHARE = 4 if IS_LONG else 2
MEMORY_LIMITS = 24 if IS_LONG else 8
# What must end the run, and what must not.
FATAL = {("write", "ENOSPC"), ("write", "+ENOSPC"), ("write", "EIO"), ("sync", "EIO"), ("sync", "+EIO")}
HARMLESS = {"short", "+short", "EINTR"}
# Faults under which an image cannot be read; it is rejected then, for this time.
OF_IMAGES = {"read", "open", "map"}

EVERYTHING = os.environ.get("PF_FAULTS") == "all"
RUN = ["--workers", "2", "--batch", "4", "--sync-seconds", "0.01"]
OLD = range(0, 30)
NEW = range(6, 48)

Scenario = collections.namedtuple("Scenario", "name start arguments wanted")
Fault = collections.namedtuple("Fault", "scenario kind number what")


def write_spec(fault):
    onwards = "+" if fault.what.startswith("+") else ""
    return f"{fault.kind}:{fault.number}{onwards}:{fault.what.lstrip('+')}"


def name_of(fault):
    if fault.kind == "limit":
        return f"{fault.scenario.name} in {fault.number} KB of memory"
    return f"{fault.scenario.name} with PF_FAULT={write_spec(fault)}"


def last_words(result):
    """The error, or whatever was said last."""
    at = result.err.rfind("extract: error: ")
    return " ".join(result.err[at if at >= 0 else -150:].split())[:300]


# ---- one trial ----

def check_exit(fault, result):
    """Whether it survived; HDF5 itself does not always, or ends the program with exit(-1)."""
    if fault.kind == "hdf5" and (result.code < 0 or result.code == 255):
        return False
    codes = {0, 1, 3} if fault.kind in OF_IMAGES else {0, 1}
    check(result.code in codes, f"{name_of(fault)}: exit code {result.code}: {last_words(result)}")
    if result.code:
        check("extract: error: " in result.err, f"{name_of(fault)}: exit code {result.code}, no message")
    return True


def check_consequence(fault, code, report):
    """A fault that came about has the consequence that it should have."""
    if fault.kind == "limit" or not report.exists() or "failed 0" in report.read_text():
        return
    if (fault.kind, fault.what) in FATAL:
        check(code != 0, f"{name_of(fault)}: passed over")
    if fault.what in HARMLESS or fault.kind == "hint":
        check(code == 0, f"{name_of(fault)}: exit code {code}")


def check_cache(fault, place, code):
    """What is under the cache's name is the old one to the byte, or the new one in its contents."""
    out, old = place / "out.h5", fault.scenario.start / "out.h5"
    if code != 0:
        if not old.exists() and not out.exists():
            return
        if old.exists() and out.read_bytes() == old.read_bytes():
            return
    found = digests(out)
    names = differences(found, fault.scenario.wanted)
    if fault.kind in OF_IMAGES and found.get("rejected") != fault.scenario.wanted["rejected"]:
        return  # fewer rows, and it says so
    check(not names, f"{name_of(fault)}: exit code {code}, and the cache differs in {names}")


def check_leftovers(fault, place, died):
    """Temporary files are removed, where removing is not what fails."""
    parts = [name for name in leftovers(place) if ".part-" in name]
    check(not parts or died or fault.kind in ("rename", "hdf5"), f"{name_of(fault)}: left {parts}")


def check_recovery(fault, place):
    again = run(fault.scenario.arguments, place)
    expect(0, again, f"after {name_of(fault)}")
    check_same(place / "out.h5", fault.scenario.wanted, f"after {name_of(fault)}")
    left = [name for name in leftovers(place) if name.endswith(".journal")]
    check(not left, f"after {name_of(fault)}: left {left}")


def start_with(fault, place):
    arguments = fault.scenario.arguments
    if fault.kind == "limit":  # so much address space; HDF5 is not begun where it might not survive
        return start(with_memory(fault.number, arguments), place)
    return start(arguments, place, LD_PRELOAD=INJECTOR, PF_FAULT=write_spec(fault), PF_FAULT_REPORT="calls")


def attempt(folder, fault):
    """One run with the fault, one without. The exit code of the first."""
    place = folder / f"trial-{fault.scenario.name}-{write_spec(fault).replace(':', '-')}"
    shutil.copytree(fault.scenario.start, place)
    try:
        result = finish(start_with(fault, place))
        survived = check_exit(fault, result)
        check_consequence(fault, result.code, place / "calls")
        check_cache(fault, place, result.code)
        check_leftovers(fault, place, not survived)
        check_recovery(fault, place)
    except Failed:
        if os.environ.get("PF_KEEP"):
            shutil.copytree(place, folder / f"failed-{place.name}")
        raise
    finally:
        shutil.rmtree(place)
    return result.code


# ---- too little memory ----

def with_memory(kilobytes, arguments):
    return ["sh", "-c", 'ulimit -v "$0"; exec "$@"', str(kilobytes), *arguments]


def least_memory(place):
    """In which the program can be loaded at all, to 1 MB."""
    low, high = 0, 1 << 20
    while high - low > 1024:
        middle = (low + high) // 2
        if run(with_memory(middle, [str(EXTRACT), "--version"]), place).code == 0:
            high = middle
        else:
            low = middle
    return high


# ---- which trials ----

def count_calls(folder, scenario):
    place, report = folder / f"count-{scenario.name}", folder / f"calls-{scenario.name}"
    shutil.copytree(scenario.start, place)
    expect(0, run(scenario.arguments, place, LD_PRELOAD=INJECTOR, PF_FAULT_REPORT=report), scenario.name)
    check_same(place / "out.h5", scenario.wanted, scenario.name)
    shutil.rmtree(place)
    return {kind: int(count) for kind, count in (line.split() for line in report.read_text().splitlines())}


def choose_numbers(kind, count):
    share = SHARE.get(kind, USUAL_SHARE)
    if EVERYTHING or count <= share:
        return range(1, count + 1)
    return sorted({1 + round(i * (count - 1) / (share - 1)) for i in range(share)})


def choose_faults(scenario, counts, kinds):
    for kind in kinds:
        for what in FAULTS[kind]:
            for number in choose_numbers(kind, counts[kind]):
                yield Fault(scenario, kind, number, what)


# ---- scenarios ----

def prepare(folder):
    """A dataset that has grown, shrunk and changed since its cache was made."""
    before, after = folder / "before", folder / "after"
    write_dataset(before, OLD)
    write_dataset(after, NEW)
    write_image(after, 11, seed=1011)
    for dataset in (before, after):
        (dataset / "a" / "broken.ppm").write_bytes(b"P6 64 64 255\ntoo short")
    for name in ("grow", "first", "resume"):
        (folder / name).mkdir()
    expect(0, run(command("../after", "out.h5", *RUN), folder / "first"), "the wanted run")
    wanted = digests(folder / "first" / "out.h5")
    (folder / "first" / "out.h5").unlink()
    expect(0, run(command("../before", "out.h5", *RUN), folder / "grow"), "the first run")
    shutil.copy2(folder / "grow" / "out.h5", folder / "resume" / "out.h5")
    arguments = command("../after", "out.h5", *RUN)
    expect(1, run(arguments, folder / "resume", FAKE_BACKBONE_FAIL_AT=4, FAKE_BACKBONE_MS=15), "a run to be resumed")
    journal = folder / "resume" / "out.h5.journal"
    check(journal.exists(), "a failed run left no journal")
    journal.write_bytes(journal.read_bytes() + b"an end to be cut off")
    return [Scenario(name, folder / name, arguments, wanted) for name in ("grow", "first", "resume")]


def prepare_merge(folder, wanted):
    """Two shards, whose chunks lie otherwise than in the whole; an old cache is in the way."""
    scenarios = []
    for k in ("1", "2"):
        shard = command("../after", f"../shard{k}.h5", *RUN, "--shard", f"{k}/2")
        expect(0, run(shard, folder / "first"), f"shard {k}")
    for name, options in (("merge", []), ("virtual", ["--virtual"])):
        (folder / name).mkdir()
        shutil.copy2(folder / "grow" / "out.h5", folder / name / "out.h5")
        arguments = [str(EXTRACT), "--merge", "--force", *options, "out.h5", "../shard1.h5", "../shard2.h5"]
        scenarios.append(Scenario(name, folder / name, arguments, wanted))
    return scenarios


def choose_limits(folder, scenario):
    """From what the program can be loaded in to what is plenty."""
    if scenario.name not in ("grow", "merge"):
        return []
    least = least_memory(folder)
    # Threads' stacks and arenas are most of it.
    step = (300 << 10) // MEMORY_LIMITS // (8 if EVERYTHING else 1)
    return range(least, least + (300 << 10), step)


def body(folder):
    if os.environ.get("PF_SANITIZE"):
        skip("a sanitizer's own calls would be made to fail")
    started, kinds = time.time(), sys.argv[2:] or [*FAULTS, "limit"]
    exits = collections.Counter()
    trials = []
    scenarios = prepare(folder)
    scenarios += prepare_merge(folder, scenarios[0].wanted)
    for scenario in scenarios:
        counts = count_calls(folder, scenario)
        print(scenario.name, ", ".join(f"{kind} {counts[kind]}" for kind in FAULTS))
        trials += choose_faults(scenario, counts, [kind for kind in kinds if kind in FAULTS])
        if "limit" in kinds:
            trials += [Fault(scenario, "limit", size, "") for size in choose_limits(folder, scenario)]
    failures = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for fault, outcome in zip(trials, pool.map(lambda fault: outcome_of(folder, fault), trials)):
            if isinstance(outcome, Failed):
                failures.append(str(outcome))
            else:
                exits[fault.kind, outcome] += 1
    for kind in kinds:
        print(kind, ", ".join(f"exit {code}: {exits[key]}" for key in sorted(exits) for code in [key[1]] if key[0] == kind))
    print(f"{len(trials)} faults in {time.time() - started:.0f} s")
    check(not failures, f"{len(failures)} of {len(trials)}\n" + "\n".join(failures[:20]))


def outcome_of(folder, fault):
    try:
        return attempt(folder, fault)
    except Failed as failure:
        return failure


main(body)
