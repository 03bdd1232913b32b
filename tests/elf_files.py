#!/usr/bin/env python3
"""What is built can be run among strangers' files: programs and libraries, in the build tree and as installed.

usage: elf_files.py BUILD

- No program or library is looked for in the current folder: no RUNPATH has an empty or relative element.
- Debian's hardening is in all of them: PIE, RELRO, immediate binding, no executable stack; in what is shipped the stack
  protector and, where it is optimised and without sanitizers, FORTIFY's checks.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(sys.argv[1]).resolve()
SHIPPED = {"extract", "train", "predict", "inspect", "permafrost_torch.so", "libh5zstd.so", "libpermafrost.so"}
failures = 0


def check(what, good, detail=""):
    global failures
    if not good:
        print(f"FAIL {what} {detail}")
    failures += not good


def setting(name):
    found = re.search(rf"^{name}:\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.M)
    return found.group(1) if found else ""


def is_elf(path):
    """Programs and shared libraries; no object files."""
    with open(path, "rb") as file:
        head = file.read(18)
    return head[:4] == b"\x7fELF" and head[16] in (2, 3)


def elf_files(folder):
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "CMakeFiles"]
        for path in (pathlib.Path(root, name) for name in names):
            if path.is_file() and not path.is_symlink() and is_elf(path):
                yield path


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def check_search(path, dynamic):
    for kind, elements in re.findall(r"\((RUNPATH|RPATH)\).*\[(.*)\]", dynamic):
        check(f"{path}: {kind}", all(element.startswith("/") for element in elements.split(":")), f"'{elements}'")


def check_hardened(path, dynamic):
    header = readelf("-h", "-l", path)
    check(f"{path}: position-independent", re.search(r"Type:\s+DYN", header))
    check(f"{path}: RELRO", "GNU_RELRO" in header)
    check(f"{path}: stack that is not executable", re.search(r"GNU_STACK.*\bRW\b", header))
    check(f"{path}: immediate binding", re.search(r"BIND_NOW|Flags:.*\bNOW\b", dynamic))
    if "(NEEDED)" in dynamic and ".so" not in path.name:
        check(f"{path}: PIE", re.search(r"Flags:.*\bPIE\b", dynamic))


def check_shipped(path):
    symbols = readelf("--dyn-syms", path)
    check(f"{path}: stack protector", "__stack_chk_fail" in symbols or path.name == "libh5zstd.so")
    is_fortified = not setting("PF_SANITIZE") and setting("CMAKE_BUILD_TYPE") != "Debug"
    if is_fortified and path.name in ("extract", "train", "predict", "inspect", "permafrost_torch.so"):
        found = set(re.findall(r"__(\w+)_chk\b", symbols))
        check(f"{path}: FORTIFY", found - {"stack"}, f"{found}")


def check_commands():
    """Flags that leave no mark in a file."""
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    wanted = ["-fstack-protector-strong", "-Wformat", "-Werror=format-security"]
    if setting("PF_HAS_CF_PROTECTION") == "1":
        wanted.append("-fcf-protection")
    check("something is compiled", commands)
    for entry in commands:
        missing = [flag for flag in wanted if flag not in entry["command"].split()]
        check(entry["file"], not missing, f"compiled without {missing}")


def without_version(name):
    """libpermafrost.so.0.1.0 as libpermafrost.so."""
    return re.sub(r"\.so\..*", ".so", name)


def check_files(folder):
    hardened = setting("PF_HARDENING") == "ON"
    found = set()
    for path in elf_files(folder):
        dynamic = readelf("-d", path)
        check_search(path, dynamic)
        if hardened:
            check_hardened(path, dynamic)
            if without_version(path.name) in SHIPPED:
                check_shipped(path)
        found.add(without_version(path.name))
    return found


def check_current_folder():
    """The loader does not open what lies about: a file that is no library would end the program."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("extract", "train", "predict", "inspect"):
            needed = re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("-d", BUILD / "bin" / name))
            for library in needed:
                pathlib.Path(folder, library).write_text("no library")
            done = subprocess.run([BUILD / "bin" / name, "--version"], cwd=folder, capture_output=True, text=True)
            check(f"{name} --version among files named like libraries", done.returncode == 0 and len(needed) > 3, done.stderr)


def check_installed():
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["cmake", "--install", BUILD, "--prefix", folder], capture_output=True, text=True)
        check("cmake --install", done.returncode == 0, done.stderr)
        found = check_files(folder)
        torch = (BUILD / "lib/permafrost/permafrost_torch.so").exists()
        check("all is installed", SHIPPED - found == (set() if torch else {"permafrost_torch.so"}), f"{found}")


if not shutil.which("readelf"):
    print("SKIP: no readelf")
    sys.exit(77)
names = check_files(BUILD)
check("programs were found", {"extract", "train", "predict", "inspect"} <= names, f"{names}")
if setting("PF_HARDENING") == "ON":
    check_commands()
check_current_folder()
check_installed()
print(f"{len(names)} files, {failures} failures")
sys.exit(failures != 0)
