#!/usr/bin/env python3
"""Power cuts: after every one of them a model, a checkpoint and a cache are the old one or the new one, whole.

Programs run with tests/tools/power_recorder.c, which notes what they ask of the disk. Here each prefix of
that is played on a disk that keeps of a file what was last synced and no more, and of the names

  ordered   all changes at once (a journal of the file system that is ahead of the data),
  lazy      those before the last sync of the folder,
  last      those and the very last one, alone.

Then the same with one sync left out, which must be found: a test that every sync is needed, and that this
one would notice.
usage: power_cuts.py BUILD
"""
import os
import pathlib
import shutil
import subprocess

from trial import BUILD, Failed, check, check_same, command, digests, expect, main, run, skip, write_dataset

RECORDER = BUILD / "tests/power_recorder.so"
MODES = ("ordered", "lazy", "last")
TORN = b"(bytes that nobody synced)"


class Recording:
    """The events of a run in `folder`, and what was there before it."""

    def __init__(self, folder, log, arguments, cwd, **variables):
        shutil.rmtree(log, ignore_errors=True)
        log.mkdir()
        self.before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        inodes = {path.name: str(path.stat().st_ino) for path in folder.iterdir() if path.is_file()}
        expect(0, run(arguments, cwd, LD_PRELOAD=RECORDER, PF_POWER_FOLDER=folder, PF_POWER_LOG=log, **variables))
        self.inodes = inodes
        self.events = [line.split("\t") for line in (log / "log").read_text().splitlines()]
        self.copies = {int(path.name): path.read_bytes() for path in log.iterdir() if path.name != "log"}
        self.after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    def versions(self, name):
        """All that a name has stood for, whole: at the beginning, and by each rename."""
        found = [self.before[name]] if name in self.before else [None]
        return found + [self.copies[int(event[4])] for event in self.events if event[0] == "rename" and event[2] == name]

    def syncs(self):
        """Numbers of the events that make files and names safe."""
        return [i for i, event in enumerate(self.events) if event[0] in ("sync", "folder")]


class Disk:
    """What a power cut leaves."""

    def __init__(self, recording):
        self.recording = recording
        self.safe = {recording.inodes[name]: bytes_ for name, bytes_ in recording.before.items()}
        self.names = dict(recording.inodes)
        self.waiting = []

    def do(self, event):
        kind = event[0]
        if kind == "sync":
            self.safe[event[1]] = self.recording.copies[int(event[2])]
        elif kind == "folder":
            for change in self.waiting:
                self.change(self.names, change)
            self.waiting = []
        elif kind == "truncate":
            if event[1] in self.safe:
                self.safe[event[1]] = self.safe[event[1]][:int(event[2])]
        elif kind in ("create", "rename", "unlink"):
            if kind == "create":
                self.safe.pop(event[1], None)  # inodes are used again
            self.waiting.append(event)

    @staticmethod
    def change(names, event):
        if event[0] == "create":
            names[event[2]] = event[1]
        elif event[0] == "rename":
            names.pop(event[1], None)
            names[event[2]] = event[3]
        else:
            names.pop(event[1], None)

    def files(self, mode):
        names = dict(self.names)
        for event in {"ordered": self.waiting, "lazy": [], "last": self.waiting[-1:]}[mode]:
            self.change(names, event)
        return {name: self.safe.get(inode, TORN) for name, inode in names.items()}


def play(recording, judge, without=None):
    """Calls judge(files, events done) for each prefix and mode; what it raises first, or None."""
    disk = Disk(recording)
    for done in range(len(recording.events) + 1):
        for mode in MODES:
            try:
                judge(disk.files(mode), done)
            except Failed as failure:
                return f"after {done} of {len(recording.events)} events, names {mode}: {failure}"
        if done < len(recording.events) and done != without:
            disk.do(recording.events[done])
    return None


def whole(recording, name):
    """A judge: name is one of its versions, and at the end the last one (None: absent)."""
    versions = recording.versions(name)

    def judge(files, done):
        found = files.get(name)
        check(found in versions, f"'{name}' is neither the old nor the new one ({len(found or b'')} bytes)")
        if done == len(recording.events):
            check(found == recording.after.get(name), f"'{name}' is not the new one, after all")

    return judge


def check_run(recording, judge, needed, what):
    """No power cut harms; and each of the syncs `needed` is."""
    found = play(recording, judge)
    check(not found, f"{what}: {found}")
    check(needed, f"{what}: nothing was synced")
    for sync in needed:
        check(play(recording, judge, without=sync),
              f"{what}: without event {sync}, {' '.join(recording.events[sync])}, nothing goes wrong")
    print(f"{what}: {len(recording.events)} events, {len(needed)} syncs that are all needed")


def file_syncs(recording, but=()):
    """Syncs of files, but for those of the files named; and the last one of the folder."""
    inodes = {event[1] for event in recording.events if event[0] == "create" and event[2] in but}
    inodes |= {recording.inodes[name] for name in but if name in recording.inodes}
    syncs = recording.syncs()
    folders = [i for i in syncs if recording.events[i][0] == "folder"]
    return [i for i in syncs if recording.events[i][0] == "sync" and recording.events[i][1] not in inodes] + folders[-1:]


# ---- models ----

def train_model(place):
    folder, cache = place / "model", place / "points.h5"
    folder.mkdir()
    subprocess.run([BUILD / "tests/make_cache", cache, "val"], check=True)
    for epochs in (2, 3):
        arguments = [str(BUILD / "bin/train"), str(cache), "-q", "--epochs", str(epochs), "-o", "model/m.safetensors"]
        recording = Recording(folder, place / "log", arguments, place)
        check(recording.versions("m.safetensors")[-1] == recording.after["m.safetensors"], "not recorded")
        check_run(recording, whole(recording, "m.safetensors"), file_syncs(recording), f"model, {epochs} epochs")


# ---- checkpoints ----

def keeps_training(recording, model):
    """A judge: once there is a checkpoint, there is always one, or the model."""
    checkpoint = model + ".checkpoint"
    judges = [whole(recording, model), whole_or_absent(recording, checkpoint)]
    kept = [i for i, event in enumerate(recording.events) if event[0] == "folder"][0]

    def judge(files, done):
        for one in judges:
            one(files, done)
        if done > kept:
            check(files.get(checkpoint) or files.get(model) == recording.after[model],
                  "neither a checkpoint nor the model")

    return judge


def whole_or_absent(recording, name):
    versions = recording.versions(name) + [None]

    def judge(files, _):
        check(files.get(name) in versions, f"'{name}' is torn")

    return judge


def train_checkpoints(place):
    folder, cache = place / "tuned", place / "maps.h5"
    folder.mkdir()
    sample = pathlib.Path(__file__).resolve().parent.parent / "sample/resnet18_w16.safetensors"
    write_dataset(place / "few", range(24))
    expect(0, run([str(BUILD / "bin/extract"), "few", "-o", str(cache), "--backbone", "resnet18_w16", "--weights",
                   str(sample), "--resize", "64", "--crop", "64", "--tap", "avgpool,layer3"], place))
    arguments = [str(BUILD / "bin/train"), str(cache), "-q", "--finetune", "layer4", "--epochs", "3", "-o",
                 "tuned/t.safetensors"]
    recording = Recording(folder, place / "log", arguments, place)
    check(len(recording.versions("t.safetensors.checkpoint")) > 2, "there were no checkpoints")
    check_run(recording, keeps_training(recording, "t.safetensors"), file_syncs(recording), "checkpoints")


# ---- caches ----

def keeps_rows(recording, cache):
    """A judge: the cache is whole, and until it is the new one the journal has what was synced."""
    judge_cache = whole(recording, cache)
    journal = cache + ".journal"
    rows = [i for i, event in enumerate(recording.events) if event[0] == "folder"][0]

    def judge(files, done):
        judge_cache(files, done)
        if done > rows and files.get(cache) != recording.after[cache]:
            check(files.get(journal) not in (None, TORN), "neither the rows nor their journal")

    return judge


def recover(place, recording, wanted, many=6):
    """On what is left of the disk extract ends well, with the rows that it should have."""
    disk, states = Disk(recording), []
    for event in recording.events:
        disk.do(event)
        states += [disk.files(mode) for mode in MODES if disk.files(mode) not in states]
    for number in range(0, len(states), max(1, len(states) // many)):
        folder = place / "left"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in states[number].items():
            (folder / name).write_bytes(content if content is not TORN else b"")
        expect(0, run(command("images", "left/c.h5"), place), f"state {number}")
        check_same(folder / "c.h5", wanted, f"state {number}")
        left = [path.name for path in folder.iterdir() if path.name != "c.h5"]
        check(not left, f"state {number}: {left} were left")


def extract_cache(place):
    folder = place / "cache"
    folder.mkdir()
    for count in (30, 44):
        write_dataset(place / "images", range(count))
        arguments = command("images", "cache/c.h5", "--batch", "8", "--sync-seconds", "0")
        recording = Recording(folder, place / "log", arguments, place)
        check_run(recording, keeps_rows(recording, "c.h5"), file_syncs(recording, but=["c.h5.journal"]),
                  f"cache, {count} images")
        recover(place, recording, digests(folder / "c.h5"))


def body(folder):
    place = folder / "work"
    place.mkdir()
    for trial in (train_model, train_checkpoints, extract_cache):
        trial(place)


if __name__ == "__main__":
    if os.environ.get("PF_SANITIZE"):
        skip("a sanitizer must be loaded first")
    main(body)
