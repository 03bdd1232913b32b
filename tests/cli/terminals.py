#!/usr/bin/env python3
"""Programs on terminals of 40, 80 and 120 columns, in a pipe, with NO_COLOR and without HOME.

usage: terminals.py BUILD

Each stream is on a terminal of its own, so that it is known what went where. No line of a table and no bar may be wider
than the terminal; sentences are the terminal's to wrap. In a pipe nothing steers a terminal.
"""
import fcntl
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import unicodedata

BUILD = pathlib.Path(sys.argv[1]).resolve()
WIDTHS = 40, 80, 120
PATIENCE = 300  # seconds without a word; far more than any takes
# A line of train's table of epochs, which is on standard error.
EPOCH = re.compile(r" *\d+ +[-\d.e]+ +[\d.]+|  *epoch  ")
failures = checks = 0


def check(holds, what):
    global failures, checks
    checks += 1
    if not holds:
        failures += 1
        print(f"FAILED: {what}", file=sys.stderr)


def width(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def environment(folder, **more):
    kept = {key: value for key, value in os.environ.items() if key not in ("HOME", "NO_COLOR", "COLUMNS", "PF_FAKE_TERMINAL")}
    return kept | {"PATH": f"{BUILD}/bin:{BUILD}/tests:{os.environ['PATH']}", "TERM": "xterm", "XDG_STATE_HOME": str(folder),
                   "PERMAFROST_PLUGIN": f"{BUILD}/tests/fake_backbone_plugin.so", "FAKE_BACKBONE_MS": "150"} | more


def on_terminals(columns, folder, command, **more):
    """Exit code, and what it wrote to standard output and to standard error."""
    pairs = [pty.openpty() for _ in range(2)]
    for _, side in pairs:
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        modes = termios.tcgetattr(side)
        modes[1] &= ~termios.OPOST  # no \r before \n
        termios.tcsetattr(side, termios.TCSANOW, modes)
    process = subprocess.Popen(command, cwd=folder, env=environment(folder, **more), stdin=subprocess.DEVNULL,
                               stdout=pairs[0][1], stderr=pairs[1][1])
    for _, side in pairs:
        os.close(side)
    said = {ours: b"" for ours, _ in pairs}
    open_ends = list(said)
    while open_ends:
        ready = select.select(open_ends, [], [], PATIENCE)[0]
        if not ready:
            process.kill()
            raise TimeoutError(f"{command} says nothing")
        for end in ready:
            try:
                more_text = os.read(end, 65536)
            except OSError:  # the other side is closed
                more_text = b""
            said[end] += more_text
            if not more_text:
                open_ends.remove(end)
                os.close(end)
    return process.wait(), *(text.decode() for text in said.values())


def too_wide(lines, columns):
    return [line for line in lines if width(line) > columns]


def look(columns, folder, command, tables=True, expected=0, **more):
    """The command on such terminals; its standard output is tables, unless said otherwise. Returns both texts."""
    code, out, err = on_terminals(columns, folder, command, **more)
    what = f"{' '.join(map(str, command))} in {columns} columns"
    check(code == expected, f"{what}: exit code {code}: {err[-400:]}")
    check("\x1b[3" not in out + err and "\x1b[0" not in out + err, f"{what}: colours")
    bars = re.findall(r"\r\x1b\[K([^\r\n]*)(?=\r)", err)  # what is erased again
    check(not too_wide(bars, columns - 1), f"{what}: a bar of {max(map(width, bars), default=0)} columns: {bars!r}")
    epochs = [line for line in err.split("\n") if EPOCH.match(line)]
    check(not too_wide(epochs, columns), f"{what}: epochs wider than that: {too_wide(epochs, columns)!r}")
    if tables:
        wide = too_wide(out.split("\n"), columns)
        check(not wide, f"{what}: lines wider than that: {wide[:3]!r}")
    return out, err


def make_data(folder):
    run = lambda *command: subprocess.run(command, cwd=folder, env=environment(folder), check=True, capture_output=True)
    run("make_cache", "own.h5", "val", "test", "hard", "numbers", "labels")
    run("train", "own.h5", "--target", "class", "-o", "head.safetensors")
    (folder / "net.pt").write_text("a network\n")
    for kind in "ab":
        (folder / "photos" / kind).mkdir(parents=True)
        for i in range(8):
            (folder / "photos" / kind / f"{kind}{i}.pgm").write_bytes(b"P5 24 24 255\n" + bytes([40 * (kind == "b") + i]) * 576)


EXTRACT = "extract photos --backbone ./net.pt --resize 20 --crop 16 --batch 2 --force -o".split()
SWEEP = ("train own.h5 --target class --epochs 3 --evaluate-all --sweep lr=1e-3,1e-2 --sweep weight-decay=0.1,0.01 "
         "--sweep label-smoothing=0,0.1 --folds 3 --csv sweep.csv").split()


def columns_of(columns, folder):
    out, _ = look(columns, folder, ["train", "own.h5", "--target", "class"])
    check("precision" in out and "f1" in out, "the table of classes is not there")
    check(("\n precision" in out) == (columns < 61), f"the table of classes in {columns} columns: {out}")
    look(columns, folder, ["train", "own.h5", "--target", "class,size,tags"])
    _, err = look(columns, folder, ["train", "own.h5", "--target", "class", "--lr", "1e-3", "--epochs", "30"])
    check(sum(map(bool, map(EPOCH.match, err.split("\n")))) > 5, f"no epochs in {columns} columns: {err}")
    out, _ = look(columns, folder, SWEEP)
    for part in ("lr=1e-2", "weight-decay=0.01", "label-smoothing=0.1", "test "):
        check(part in out, f"the ranking in {columns} columns lacks {part}: {out}")
    look(columns, folder, ["inspect", "own.h5"])
    look(columns, folder, ["predict", "head.safetensors", "own.h5", "--evaluate", "-o", "rows.csv"])
    out, _ = look(columns, folder, ["predict", "--info", "head.safetensors"], tables=False)
    check(not too_wide(re.findall(r"^  \S+ .*\[.*$|^    [\d.]+ .*$", out, re.M), columns), f"predict --info: {out}")
    look(columns, folder, ["extract", "--summary", "--backbone", "resnet18", "--classes", "2"])
    out, _ = look(columns, folder, ["extract", "--backbones"])
    check("resnet18" in out and "11.7 M" in out, "the list of networks")
    _, err = look(columns, folder, [*EXTRACT, f"at{columns}.h5"])
    check(err.count("\r\x1b[K") > 2 and "16 images" in err, f"no bar in {columns} columns: {err!r}")
    look(columns, folder, ["train", "own.h5", "--traget", "class"], expected=2)


def piped(folder, **more):
    for command in ([*EXTRACT, "piped.h5"], ["train", "own.h5", "--target", "class"], SWEEP,
                    ["predict", "head.safetensors", "own.h5", "--evaluate"], ["inspect", "own.h5"]):
        done = subprocess.run(command, cwd=folder, env=environment(folder, **more), capture_output=True)
        check(done.returncode == 0, f"{command} in a pipe: exit code {done.returncode}: {done.stderr[-400:]}")
        check(not {b"\r", b"\x1b"} & set(re.findall(rb"[\r\x1b]", done.stdout + done.stderr)),
              f"{command} steers a terminal in a pipe")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_data(folder)
        for columns in WIDTHS:
            columns_of(columns, folder)
        look(80, folder, ["train", "own.h5", "--target", "class"], NO_COLOR="1", HOME=str(folder))
        piped(folder)
    print(f"terminals.py: {checks} checks, {failures} failed")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
