#!/usr/bin/env python3
"""Checks of the benchmark's own arithmetic and tables; it is what README's numbers rest on."""
import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from bench_extract import Contender, against_seeds, whole_rates
    from bench_precision import agreement
    import measure
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

failed = 0


def check(what, found, expected):
    global failed
    good = found == expected
    failed += not good
    print(f"{'ok  ' if good else 'FAIL'} {what}" + ("" if good else f": {found!r}, expected {expected!r}"))


def quietly(function, *arguments):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return function(*arguments)


turns = []
contenders = {name: lambda name=name: turns.append(name) or float(len(turns)) for name in ("ours", "theirs")}
figures = quietly(measure.alternate, contenders, 3)
check("contenders take turns", turns, ["ours", "theirs"] * 3)
check("figures belong to their contender", figures, {"ours": [1, 3, 5], "theirs": [2, 4, 6]})
entry = quietly(measure.report, "speed", {"ours": [3.0, 1.0, 8.0]}, {"ours / theirs": 1.5})
check("median, lowest, highest", entry["rows"], [["ours", 3.0, 1.0, 8.0]])
check("Markdown", measure.markdown(entry),
      "**speed**\n\n|  | median | lowest | highest |\n|---|---|---|---|\n| ours | 3 | 1 | 8 |\n\nours / theirs: 1.50x\n")
check("numbers as people read them", [measure.shown(value) for value in (None, "+0.1", 60000, 1234.5, 52.345, 3.9e-6, 0.999665)],
      ["", "+0.1", "60,000", "1,234", "52.34", "3.9e-06", "0.999665"])
with tempfile.TemporaryDirectory() as folder:
    for name in ("a.jpg", "b.jpg"):
        (pathlib.Path(folder) / name).touch()
    contender = Contender(lambda: (7.0, 4.0))
    check("a contender gives its rate", contender(), 7.0)
    check("whole commands count from start to end", whole_rates({"ours": contender}, pathlib.Path(folder)), {"ours": [0.5]})
check("the seeds' way is the faster one of two",
      against_seeds({"extract fp32": 6.0, "seeds' way, 0 workers": 2.0, "seeds' way, 2 workers": 3.0, "tuned fp32": 1.0}),
      {"extract fp32 / seeds' way": 2.0})
mean, least, error = agreement({"a": np.array([1.0, 0.0]), "b": np.array([3.0, 4.0])},
                               {"b": np.array([4.0, 3.0]), "a": np.array([2.0, 0.0])})
check("cosines by path, and the largest difference over the largest value",
      [round(float(value), 9) for value in (mean, least, error)], [0.98, 0.96, 0.25])
check("an unknown section is refused by name",
      "there is no 'nothing'" in subprocess.run(
          [sys.executable, measure.HERE / "bench.py", "--build", ".", "--out", ".", "--only", "heads,nothing"],
          capture_output=True, text=True).stderr, True)
sys.exit(failed != 0)
