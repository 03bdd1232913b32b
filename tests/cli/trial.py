"""What the tests that kill and starve `extract` share: a dataset of small images, runs of the
program on a backbone that costs nothing, and what a cache holds.

Caches are told apart by tests/tools/digest_cache, never by their bytes: the same rows may be
stored in other ways.
"""
import collections
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import zlib

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
EXTRACT = BUILD / "bin/extract"
PLUGIN = BUILD / "tests/fake_backbone_plugin.so"
INJECTOR = BUILD / "tests/fault_injector.so"
TIMEOUT = 60 if not os.environ.get("PF_SANITIZE") else 300

# A row of tap `pixels` has 24 KB at this size, a chunk 16 rows.
SIDE = 64
NETWORK = "../fake.pt"
OPTIONS = ["--backbone", NETWORK, "--tap", "mean,pixels", "--resize", str(SIDE), "--crop", str(SIDE)]

Run = collections.namedtuple("Run", "code out err")


class Failed(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failed(message)


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


# ---- images ----

def pixels(seed):
    """Noise around a colour: of 64 values, so that it compresses a little, as features do."""
    generator = random.Random(seed)
    base = generator.randrange(180)
    return generator.randbytes(SIDE * SIDE * 3).translate(bytes(base + i % 64 for i in range(256)))


def ppm(seed):
    return b"P6 %d %d 255\n" % (SIDE, SIDE) + pixels(seed)


def png(seed):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = pixels(seed)
    stride = SIDE * 3
    raw = b"".join(b"\0" + rows[y * stride:(y + 1) * stride] for y in range(SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 1))
            + chunk(b"IEND", b""))


def write_image(folder, index, seed=None):
    """Image number `index`; of another seed: other pixels under the same name."""
    suffix, encode = (".png", png) if index % 4 == 0 else (".ppm", ppm)
    path = folder / ("ab"[index % 2]) / f"{index:04d}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(index if seed is None else seed))
    # Old enough that its date can be relied on.
    os.utime(path, (1.6e9 + index, 1.6e9 + index))
    return path


def write_dataset(folder, indices):
    for index in indices:
        write_image(folder, index)


# ---- runs ----

def environment(**more):
    values = dict(os.environ, PERMAFROST_PLUGIN=str(PLUGIN), LC_ALL="C")
    values.update({key: str(value) for key, value in more.items()})
    return values


def command(dataset, out, *options):
    return [str(EXTRACT), str(dataset), "-o", str(out), *OPTIONS, *map(str, options)]


def start(arguments, cwd, **variables):
    return subprocess.Popen(arguments, cwd=cwd, env=environment(**variables), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process, timeout=TIMEOUT):
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise Failed(f"still running after {timeout} s: {' '.join(process.args)}\n{err.decode(errors='replace')}")
    return Run(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def run(arguments, cwd, **variables):
    return finish(start(arguments, cwd, **variables))


def expect(code, result, where=""):
    check(result.code == code, f"{where}: exit code {result.code}, expected {code}\n{result.err}")
    return result


def digests(path):
    """Every dataset's digest by name, and the number of rows."""
    result = subprocess.run([BUILD / "tests/digest_cache", path], capture_output=True, text=True)
    check(result.returncode == 0, f"digest_cache: {result.stderr}")
    lines = result.stdout.splitlines()
    found = {name: digest for digest, name in (line.split("  ", 1) for line in lines[1:])}
    found["rows"] = lines[0].rsplit(": ", 1)[1]
    return found


def differences(found, wanted):
    return ", ".join(sorted(name for name in set(found) | set(wanted) if found.get(name) != wanted.get(name)))


def check_same(path, wanted, where):
    names = differences(digests(path), wanted)
    check(not names, f"{where}: {path.name} differs in {names}")


def leftovers(folder):
    """Files that a finished run must not leave: temporary ones, and the journal."""
    return sorted(p.name for p in folder.iterdir() if ".part-" in p.name or p.name.endswith(".journal"))


def workplace():
    """A folder of its own with the fake network in it, removed at the end."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="permafrost-"))
    (folder / "fake.pt").write_bytes(b"no network at all\n")
    return folder


def main(body):
    """Runs body(folder); what fails is told, with the folder left for a look with PF_KEEP=1."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = workplace()
    try:
        body(folder)
    except Failed as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
    finally:
        if os.environ.get("PF_KEEP"):
            print(f"left: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
