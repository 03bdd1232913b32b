#!/usr/bin/env python3
"""The documents: lines of prose have at most 100 columns, and no link leads nowhere.

Every *.md of the repository is read. Tables, code blocks and the addresses of links may be longer.
A relative link must name a file that is there and, after '#', a heading of it (as GitHub makes
anchors of headings). What the sources say of docs/*.md, in messages and comments, is a link, too.
Tables are whole, and docs/design/README.md lists every page of its folder by number.

usage: prose.py                     checks all pages
       prose.py --wrap PAGE...      wraps the paragraphs of these that have longer lines
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTH = 100
LINK = re.compile(r"\]\(([^()\s]+)\)")
MENTION = re.compile(r"\bdocs/[\w/.-]+?\.md(?:#[\w-]+)?")
SOURCES = (".c", ".h", ".cpp", ".hpp", ".py", ".sh", ".data", ".txt")


def files(*endings):
    """All files of the repository with one of these endings, but for what is built."""
    for top in sorted(ROOT.iterdir()):
        if top.name not in (".git", "out") and not top.name.startswith("build"):
            for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
                if path.suffix in endings and path.is_file():
                    yield path


def prose(text):
    """(number, line) of each line that is neither in a code block nor of a table."""
    fence, code, listed, blank = False, False, False, True
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*```", line):
            fence = not fence
            continue
        if fence:
            continue
        if not line.strip():
            blank = True
            continue
        indent = len(line) - len(line.lstrip())
        code = indent >= (6 if listed else 4) and (blank or code)
        if indent == 0:
            listed = re.match(r"(?:[-*+]|\d+\.)\s", line) is not None or (listed and not blank)
        blank = False
        if not code and not line.lstrip().startswith("|"):
            yield number, line


def anchors(text):
    """The anchors of a page's headings."""
    found = {}
    for _, line in prose(text):
        heading = re.match(r"#+\s+(.*)", line)
        if heading:
            words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
    return {slug if i == 0 else f"{slug}-{i}" for slug, last in found.items() for i in range(last + 1)}


def broken_tables(text):
    """The numbers of the lines that begin a table, but have no line of dashes below them."""
    lines, fence = [""] + text.splitlines() + [""], False
    for number in range(1, len(lines) - 1):
        fence ^= lines[number].lstrip().startswith("```")
        begins = lines[number].startswith("|") and not lines[number - 1].startswith("|")
        if begins and not fence and not re.fullmatch(r"\|[-:| ]+\|", lines[number + 1]):
            yield number


def missing(folder, link):
    """Why a link of a page in this folder leads nowhere, or None."""
    name, _, anchor = link.partition("#")
    target = folder / name
    if not target.exists():
        return "there is no such file"
    if anchor and target.suffix == ".md" and anchor not in anchors(target.read_text()):
        return f"{target.name} has no heading '#{anchor}'"
    return None


def problems():
    for page in files(".md"):
        where = page.relative_to(ROOT)
        text = page.read_text()
        for number, line in prose(text):
            length = len(LINK.sub("]", line))
            if length > WIDTH and " " in line.strip():
                yield f"{where}:{number}: {length} columns, at most {WIDTH}"
        for number in broken_tables(text):
            yield f"{where}:{number}: a table without a line of dashes below its first line"
        for number, line in enumerate(text.splitlines(), 1):
            for link in LINK.findall(line):
                if re.match(r"[a-z]+:", link):
                    continue
                reason = missing(page.parent, link if link[0] != "#" else page.name + link)
                if reason:
                    yield f"{where}:{number}: link '{link}': {reason}"
    index = (ROOT / "docs/design/README.md").read_text()
    for page in sorted((ROOT / "docs/design").glob("[0-9]*.md")):
        where = page.relative_to(ROOT)
        if f"[{page.name[:4]}]({page.name})" not in index:
            yield f"docs/design/README.md: lacks {page.name}"
        if not page.read_text().startswith(f"# {page.name[:4]}: "):
            yield f"{where}:1: its title does not begin with its number"
    for source in files(*SOURCES):
        for number, line in enumerate(source.read_text().splitlines(), 1):
            for link in MENTION.findall(line):
                reason = missing(ROOT, link)
                if reason:
                    yield f"{source.relative_to(ROOT)}:{number}: '{link}': {reason}"


def wrapped(lines):
    """A paragraph, or an item of a list, in lines of at most WIDTH columns. Code in backquotes stays whole."""
    first = re.match(r"\s*(?:(?:[-*+]|\d+\.)\s+)?", lines[0])[0]
    words = re.findall(r"(?:`[^`]*`|[^\s`])+|`", " ".join(line.strip() for line in lines)[len(first.strip()):])
    result = [first]
    for word in words:
        fits = len(result[-1]) + 1 + len(word) <= WIDTH
        # A line must not begin with what would make it a heading, a quotation or an item of a list.
        if result == [first] or fits or re.match(r"(?:[-+*#>]|\d+[.)])+$", word):
            result[-1] += ("" if result == [first] else " ") + word
        else:
            result.append(" " * len(first) + word)
    return result


def wrap(page):
    text = page.read_text()
    lines, paragraphs = text.splitlines(), []
    for number, line in prose(text):
        item = re.match(r"\s*(?:[-*+]|\d+\.)\s|#", line)
        if item or not paragraphs or paragraphs[-1][-1] != number - 1 or lines[number - 2].startswith("#"):
            paragraphs.append([])
        paragraphs[-1].append(number)
    for numbers in reversed(paragraphs):
        old = lines[numbers[0] - 1:numbers[-1]]
        if max(map(len, old)) > WIDTH and not old[0].startswith("#"):
            lines[numbers[0] - 1:numbers[-1]] = wrapped(old)
    page.write_text("\n".join(lines) + "\n")


def main():
    if sys.argv[1:2] == ["--wrap"]:
        for page in sys.argv[2:]:
            wrap(pathlib.Path(page))
        return 0
    found = list(problems())
    for problem in found:
        print(problem)
    print(f"{len(list(files('.md')))} pages, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
