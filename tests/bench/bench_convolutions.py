"""Each kind of convolution of a network on one thread, as the engine runs it: rates, shares of the ceiling, and where the
time goes."""
import pathlib
import re

from measure import number, run, table

NETWORKS = ("resnet50", "vgg16")
COLUMNS = ["first of its shape", "how often", "of y", "channels", "kernel", "images at a time", "way", "ms an image",
           "GFLOP/s of direct convolution", "really done", "% of the ceiling", "% products", "% inputs", "% outputs", "% rest"]
LINE = re.compile(r"(\S+) +(\d+) +(\d+x\d+) +(\d+ -> +\d+) +(\dx\d /\d(?: \+)?) +(\d+) (\w+) +([0-9.]+) +([0-9.]+) +"
                  r"([0-9.]+) +(\d+) % +(\d+) +(\d+) +(\d+) +(\d+)")


def convolutions(args, network):
    tool = pathlib.Path(args.build) / "tests" / "bench_convolutions"
    _, text = run([tool, "--rounds", str(2 * args.rounds + 1), network])
    rows = [list(match.groups()) for match in map(LINE.match, text.splitlines()) if match]
    title = (f"convolutions of {network}, one thread, fastest of {2 * args.rounds + 1}; ceiling "
             f"{number(r'ceiling ([0-9.]+)', text)} GFLOP/s, all of them "
             f"{number(r'all convolutions of [^:]*: ([0-9.]+) ms', text)} ms an image")
    return table(title, COLUMNS, [[" ".join(value.split()) for value in row] for row in rows])


def bench_convolutions(args, _):
    return [convolutions(args, network) for network in NETWORKS]
