#!/usr/bin/env python3
"""Completions in the shells themselves, on a terminal: a line is typed, Tab pressed, and echoed by the shell.

usage: completions.py BUILD

Each shell that is installed completes programs, options, their values, taps and targets of a cache, columns of a
manifest, files and folders. Nothing that stands in a file is run.
"""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(sys.argv[1]).resolve()
PATIENCE = 60  # seconds for one line; far more than any takes
failures = checks = 0

RC = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SETUP = {
    "bash": "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; PS1='% '; source {shell}/permafrost.bash",
    "zsh": "unsetopt zle_bracketed_paste prompt_sp 2>/dev/null; PS1='%% '; fpath=({shell} $fpath); autoload -U compinit; "
           "compinit -u -D; bindkey -e; setopt no_list_beep no_beep",
    "fish": "function fish_prompt; echo '% '; end; set -g fish_greeting; source {shell}/permafrost.fish",
}


class Shell:
    """One on a terminal of its own, in a folder."""

    def __init__(self, name, folder):
        self.name, self.said = name, ""
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.environ.update(PATH=f"{BUILD}/bin:{os.environ['PATH']}", TERM="dumb" if name != "fish" else "xterm",
                              HOME=str(folder), COLUMNS="200")
            os.execvp(RC[name][0], RC[name])
        self.type(SETUP[name].format(shell=BUILD / "shell") + "\r")
        self.echo("ready")

    def type(self, text):
        os.write(self.terminal, text.encode())

    def read_until(self, pattern):
        until = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.said)):
            if not select.select([self.terminal], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError(f"{self.name} says: {self.said[-600:]!r}")
            more = os.read(self.terminal, 65536).decode(errors="replace")
            self.said += re.sub(r"\x1b\[6n|\x1b\[c|\x1b\[0c", "", more)
            if "\x1b[c" in more or "\x1b[0c" in more:  # fish asks what terminal it has
                self.type("\x1b[?62c")
        self.said = ""
        return found

    def echo(self, word):
        self.type(f"echo '<'{word}'>'\r")
        return self.read_until(rf"<({re.escape(word)})>")

    def complete(self, line):
        """What the shell makes of a line by Tab, as it hands it over to a command."""
        self.type(line + "\t")
        time.sleep(0.6 if self.name == "fish" else 0.2)
        self.type("\x01printf '[%s]' '<<' \x05 '>>'\r")
        found = self.read_until(r"\[<<\]((?:\[[^\]]*\])*)\[>>\]")
        return re.findall(r"\[([^\]]*)\]", found.group(1))

    def close(self):
        os.close(self.terminal)
        os.waitpid(self.process, 0)


def check(shell, line, wanted):
    global failures, checks
    checks += 1
    try:
        found = shell.complete(line)
    except TimeoutError as error:
        found = [str(error)]
    if [word.rstrip('/') for word in found] != wanted:  # zsh takes a slash at the end back
        failures += 1
        print(f"FAIL {shell.name}: {line!r} becomes {found}, expected {wanted}")


def check_shell(name, folder):
    global failures
    shell = Shell(name, folder)
    check(shell, "permafrost trai", ["permafrost", "train"])
    check(shell, "permafrost train --optim", ["permafrost", "train", "--optimizer"])
    check(shell, "train --warm-h", ["train", "--warm-head"])
    check(shell, "train known.h5 --tap av", ["train", "known.h5", "--tap", "avgpool"])
    check(shell, "train known.h5 --tap=av", ["train", "known.h5", "--tap=avgpool"])
    check(shell, "train known.h5 --target cl", ["train", "known.h5", "--target", "class"])
    check(shell, "train --class-weights bal", ["train", "--class-weights", "balanced"])
    check(shell, "extract list.csv --target ag", ["extract", "list.csv", "--target", "age"])
    check(shell, "extract list.csv --target two", ["extract", "list.csv", "--target", "two words"])
    check(shell, "extract list.csv --group hos", ["extract", "list.csv", "--group", "host$(touch oops)"])
    check(shell, "extract --backbone efficientnet_b7", ["extract", "--backbone", "efficientnet_b7"])
    check(shell, "extract --tap layer4.1.relu_", ["extract", "--tap", "layer4.1.relu_1"])
    check(shell, "extract --store f1", ["extract", "--store", "f16"])
    check(shell, "extract lis", ["extract", "list.csv"])
    check(shell, "extract x --root pho", ["extract", "x", "--root", "photos"])
    shell.close()
    if (folder / "oops").exists():
        print(f"FAIL {name}: a name in a file was run")
        failures += 1


def check_call(words, first):
    """The call itself: the first two lines of what `train` says."""
    global failures, checks
    checks += 1
    done = subprocess.run([BUILD / "bin/train", "--complete", *words], capture_output=True, text=True)
    found = [line.split("\t")[0] for line in done.stdout.splitlines()[:2]]
    if done.returncode or done.stderr or found != first:
        failures += 1
        print(f"FAIL train --complete {words}: {found}, {done.stderr}, expected {first}")


def check_calls():
    check_call(["-"], ["nothing", "--output"])
    check_call(["--"], ["nothing", "--output"])
    check_call([""], ["files"])
    check_call(["--", "-"], ["files"])
    check_call(["--normalize", "-"], ["nothing"])
    check_call(["-o", ""], ["files"])
    check_call(["--no-such-option=", "--see"], ["nothing", "--seed"])
    check_call(["no-such.h5", "--tap", ""], ["nothing", "all"])


def main():
    check_calls()
    shells = [name for name in RC if shutil.which(name)]
    if not shells:
        print("SKIP: no shell that completes")
        return 1 if failures else 77
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        (folder / "photos").mkdir()
        (folder / "list.csv").write_text("path,age,two words,host$(touch oops)\na.jpg,1,2,3\n")
        subprocess.run([BUILD / "tests/make_cache", "known.h5"], cwd=folder, check=True, capture_output=True)
        for name in shells:
            check_shell(name, folder)
    print(f"completions in {', '.join(shells)}: {checks} lines, {failures} failures")
    return failures != 0


sys.exit(main())
