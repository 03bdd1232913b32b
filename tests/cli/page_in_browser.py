#!/usr/bin/env python3
"""The pages that page.sh has made, in Chromium: no complaint, no request, the marks of each chart, the
images of a cell, the map, the lasso, and a downloaded list that extract takes.

usage: page_in_browser.py BUILD     in the folder of the pages
"""
import csv
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import chromium  # noqa: E402

BUILD = os.path.abspath(sys.argv[1])


def names(page, selector):
    return page.evaluate("[...document.querySelectorAll(%s)].map(e => e.textContent)" % json.dumps(selector))


def same(found, wanted, what):
    assert found == wanted, f"{what}: {found!r}, not {wanted!r}"


def check_quiet(page):
    same(page.problems, [], "the console")
    same(page.foreign_requests(), [], "requests")
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0, f"{page.url} is {overflow} pixels wider than the window"


def load(page):
    return json.loads(page.evaluate("document.getElementById('data').textContent"))


def check_charts(page, data):
    classes = len(data["targets"][0]["names"])
    same(page.count("#confusion-0 .mark"), classes * classes, "cells")
    same(page.count("#bars-0 .mark"), 2 * classes, "bars")
    same(page.count("#roc-0 .mark"), classes, "ROC curves")
    same(page.count("#pr-0 .mark"), classes, "precision and recall")
    assert page.count("#reliability-0 .mark") >= 2
    same(page.count("figure svg"), page.count("figure svg[aria-label]"), "charts with a name")
    same(page.count("figure:not(.points) details table"), page.count("figure:not(.points) svg"), "tables behind charts")


def check_cells(page, data):
    target = data["targets"][0]
    judged = [i for i, is_judged in enumerate(target["judged"]) if is_judged]
    for row, column in [(0, 0), (0, 1), (2, 1), (1, 1)]:
        page.evaluate(f"document.querySelector('#confusion-0 [data-row=\"{row}\"][data-column=\"{column}\"]')"
                      ".dispatchEvent(new MouseEvent('click', {bubbles: true}))")
        wanted = {i for i in judged if target["labels"][i] == row and target["predicted"][i] == column}
        found = page.evaluate("[...document.querySelectorAll('#cell-0 .tile')].map(t => Number(t.dataset.row))")
        same(set(found), wanted, f"images of cell {row}, {column}")
        title = page.evaluate(f"document.querySelector('#confusion-0 [data-row=\"{row}\"][data-column=\"{column}\"] title').textContent")
        same(int(title.rsplit(" ", 1)[1]), len(wanted), "the cell's number")
    same(page.count("#cell-0 .tile img"), page.count("#cell-0 .tile"), "pictures of a cell")


def check_map(page, data):
    page.evaluate("document.querySelector('#map').scrollIntoView()")
    page.frames()
    same(int(page.evaluate("document.querySelector('canvas').dataset.drawn")), len(data["rows"]), "points on the map")
    colours = page.evaluate("(() => { const c = document.querySelector('canvas'); const d = c.getContext('2d')"
                            ".getImageData(0, 0, c.width, c.height).data; const s = new Set(); for (let i = 0; i < d.length;"
                            " i += 4) s.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]); return s.size; })()")
    same(colours, 1 + len(data["targets"][0]["names"]), "colours on the map")
    left, top, width, height = page.evaluate("(() => { const b = document.querySelector('canvas').getBoundingClientRect(); "
                                             "return [b.left, b.top, b.width, b.height]; })()")
    side, places = 0.94 * min(width, height), data["maps"][0]
    xs = [left + width / 2 + (x / 65535 - 0.5) * side for x in places["x"]]
    ys = [top + height / 2 + (y / 65535 - 0.5) * side for y in places["y"]]
    # The hover tells of the point below the mouse.
    page.mouse("mouseMoved", xs[5], ys[5])
    page.frames()
    assert page.evaluate("!document.querySelector('.hover').hidden")
    # A lasso around what lies left of a line.
    line = sorted(xs)[len(xs) // 3] + 0.5
    page.evaluate("document.getElementById('lasso').click()")
    corners = [(left + 1, top + 1), (line, top + 1), (line, top + height - 1), (left + 1, top + height - 1)]
    path = [(a[0] + (b[0] - a[0]) * s / 4, a[1] + (b[1] - a[1]) * s / 4)
            for a, b in zip(corners, corners[1:] + corners[:1]) for s in range(4)]
    page.drag(path)
    page.frames()
    wanted = {data["rows"][i] for i, x in enumerate(xs) if x < line}
    found = page.evaluate("[...document.querySelectorAll('#lasso-rows .tile')].map(t => Number(t.dataset.row))")
    same(set(found), wanted, "rows in the lasso")


def check_download(page, data):
    """Ticks every image with a strange name, and gives what is downloaded to extract."""
    strange = [row for row, path in zip(data["rows"], data["paths"]) if "train/cat/" in path][:8]
    page.evaluate("document.getElementById('lasso-rows').replaceChildren()")
    page.evaluate("(() => { window.taken = null; URL.createObjectURL = (blob) => { window.taken = blob; return '#'; }; })()")
    # Through the lasso: all images, then only those are left ticked.
    page.evaluate("document.querySelector('canvas').scrollIntoView()")
    left, top, width, height = page.evaluate("(() => { const b = document.querySelector('canvas').getBoundingClientRect(); "
                                             "return [b.left, b.top, b.width, b.height]; })()")
    page.drag([(left + 1, top + 1), (left + width - 1, top + 1), (left + width - 1, top + height - 1), (left + 1, top + height - 1)])
    for row in strange:
        page.evaluate(f"document.querySelector('#lasso-rows .tile[data-row=\"{row}\"] input').click()")
    same(page.evaluate("document.getElementById('tally').textContent"), f"{len(strange)} images chosen", "the tally")
    page.evaluate("document.getElementById('download').click()")
    text = page.evaluate("taken.arrayBuffer().then(b => [...new Uint8Array(b)])")
    with open("chosen.csv", "wb") as stream:
        stream.write(bytes(text))
    with open("chosen.csv", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        listed = [line[0] for line in csv.reader(stream)]
    same(listed[0], "path", "the header")
    assert all(os.path.exists(os.path.join("photos", path)) for path in listed[1:]), listed
    done = subprocess.run([BUILD + "/bin/extract", "photos", "-o", "fewer.h5", "--backbone", "resnet18_w16", "--weights",
                           os.path.join(os.path.dirname(__file__), "../sample/resnet18_w16.safetensors"), "--exclude", "chosen.csv"],
                          capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr
    assert f"excluded: {len(strange)} of {len(data['rows'])} images" in done.stderr, done.stderr


def check_names(page):
    """Strange names are shown as texts."""
    same(page.evaluate("document.title"), "photos.h5", "the title, which a name would have changed")
    text = page.evaluate("document.body.textContent")
    for shown in ('"><img src=x onerror=document.title=1>.jpg', "\\u202e", "byte\\xff"):
        assert shown in text, f"{shown} is not shown"
    same(page.count("img[src=x]"), 0, "images by a name")


def check_findings(page, data):
    """Classes, neighbours, few images: as many marks as inspect found."""
    with open("findings.json", encoding="utf-8") as stream:
        findings = json.load(stream)
    pairs = findings["classes"]["overlap"]
    same(page.count("#class-counts .mark"), 2 * len(data["targets"][0]["names"]), "bars of train and val images")
    same(page.count("#class-pairs .mark"), len(pairs), "pairs of classes")
    first = page.evaluate("document.querySelector('#class-pairs details tr:nth-child(2)').textContent")
    assert first.startswith(f"{pairs[0]['of']}: like {pairs[0]['taken_for']}"), (first, pairs[0])
    points = findings["few_shot"]["points"]
    same(page.count("#few-shot circle.mark"), len(points), "few-shot points")
    same(page.count("#few-shot .band"), 1, "a band over the draws")
    same(page.count("#few-shot details tr"), 1 + len(points), "rows of the few-shot table")
    scores = [findings["knn"]["scores"], findings["knn_held_out"]["scores"]]
    rows = page.evaluate("[...document.querySelectorAll('#knn tbody tr')].map(r => [...r.cells].map(c => c.textContent))")
    same(len(rows), max(map(len, scores)), "rows of the neighbours' table")
    for column, of in enumerate(scores):
        for row, score in zip(rows, of):
            same(row[0], str(score["k"]), "the neighbours that count")
            same(row[1 + column].split()[0], f"{score['accuracy']:.4f}", f"accuracy of {score['k']} neighbours")
    # A button ticks all copies but one of each group.
    groups = findings["duplicates"]["groups"]
    assert groups, "there are no duplicates to look at"
    page.evaluate("document.querySelector('#gallery-duplicates .choose-copies').click()")
    same(page.evaluate("document.getElementById('tally').textContent.split(' ')[0]"),
         str(sum(len(group["paths"]) - 1 for group in groups)), "copies that were chosen")
    page.evaluate("[...document.querySelectorAll('.bar-below button')].pop().click()")


def check_models(page):
    """Two models: as many marks as models and pairs, and the numbers of the terminal."""
    same(page.count("#model-accuracy .mark"), 2, "models")
    same(page.count("#model-differences .mark"), 1, "pairs of models")
    same(page.evaluate("[...document.querySelectorAll('#models tbody td:first-child')].map(c => c.textContent)"),
         ["1: head", "2: rival"], "names of models")
    with open("models.json", encoding="utf-8") as stream:
        found = json.load(stream)["models"]
    cells = page.evaluate("[...document.querySelectorAll('#pairs tbody td')].map(c => c.textContent)")
    pair = found["pairs"][0]
    same(cells[1], f"{pair['difference']:+.4f}", "the difference")
    same(cells[4:6], [str(pair["only_a_right"]), str(pair["only_b_right"])], "rows that one has right")
    assert abs(float(cells[6]) - pair["mcnemar_p"]) <= 0.01 * pair["mcnemar_p"], (cells, pair)
    same(cells[7], "may be chance" if pair["mcnemar_p"] >= 0.05 else cells[7], "what that means")
    same(page.evaluate("document.querySelectorAll('#models th')[1].textContent"), "accuracy", "a heading")


def check_sweep(page):
    same(page.count("#sweep tbody tr"), 6, "settings")
    same(page.count("#parallel .mark"), 6, "lines of settings")
    loss = names(page, "#sweep th").index("val loss")
    values = f"[...document.querySelectorAll('#sweep tbody tr')].map(r => Number(r.cells[{loss}].textContent))"
    page.evaluate(f"document.querySelectorAll('#sweep th')[{loss}].click()")
    same(page.evaluate(values), sorted(page.evaluate(values)), "losses")
    page.evaluate(f"document.querySelectorAll('#sweep th')[{loss}].click()")
    same(page.evaluate(values), sorted(page.evaluate(values), reverse=True), "losses, the worst first")
    same(page.count("#curve-loss .mark"), 2, "curves")


def main():
    if not chromium.program():
        print("SKIP: there is no Chromium, so no page was looked at (apt install chromium)")
        return
    for options in ({}, {"dark": True}, {"width": 390, "height": 844}):
        with chromium.Page("page.html", **options) as page:
            data = load(page)
            check_charts(page, data)
            check_cells(page, data)
            check_map(page, data)
            check_findings(page, data)
            if not options:
                check_download(page, data)
                check_names(page)
            check_quiet(page)
    with chromium.Page("sweep.html") as page:
        check_sweep(page)
        check_quiet(page)
    for width in (1100, 390):
        with chromium.Page("models.html", width=width, height=844) as page:
            check_models(page)
            check_quiet(page)
    with chromium.Page("more.html", width=390, height=844) as page:
        assert page.count("#residuals-1-0 .mark") > 10
        same(page.count("#together-2 .mark"), 9, "labels together")
        assert page.count("#label-bars-2 .mark") >= 3
        off = [abs(float(a) - float(b)) for a, b in
               (text.split(", taken for ") for text in names(page, "#gallery-misses-1 .tile label > span:not(.path)"))]
        assert len(off) > 10 and all(a >= b - 0.021 for a, b in zip(off, off[1:])), off
        page.evaluate("(() => { const c = document.getElementById('map-colour'); c.selectedIndex = "
                      "[...c.options].findIndex(o => o.textContent === 'size'); c.dispatchEvent(new Event('change')); })()")
        assert " to " in page.evaluate("document.querySelector('#map .legend').textContent"), "no ranges of numbers"
        check_quiet(page)
    # A number that no image has is no way to colour the map, which is drawn all the same.
    with chromium.Page("unknown.html") as page:
        same(names(page, "#map-colour option"), ["class", "split"], "ways to colour the map")
        page.evaluate("document.querySelector('#map').scrollIntoView()")
        page.frames()
        same(int(page.evaluate("document.querySelector('canvas').dataset.drawn")), 400, "points on the map")
        check_quiet(page)
    with chromium.Page("evaluated.html") as page:
        data = load(page)
        same(set(data["splits"]), {0, 1}, "the splits of a set that was evaluated")
        check_charts(page, data)
        check_cells(page, data)
        same(page.count("#gallery-list-0 .tile img"), page.count("#gallery-list-0 .tile"), "pictures of what was evaluated")
        check_quiet(page)
    for file in ("train.html", "anonymous.html", "predicted.html", "predicted-cache.html", "moved.html", "few.html", "none.html",
                 "one.html", "three.html", "listed.html", "models-anonymous.html"):
        with chromium.Page(file) as page:
            check_quiet(page)
    with chromium.Page("sheet.html") as page:
        same(page.count("#gallery-list-0 .tile img"), 97, "pictures as the network sees them")
        same(page.evaluate("(async (picture) => { await picture.decode(); return picture.naturalWidth; })"
                           "(document.querySelector('#gallery-list-0 img'))"), 96, "their width")
        same(names(page, "#gallery-list-1 .tile span:not(.none)"), ["train/boat/broken.jpg: not an image: begins with 'no image'"],
             "what was rejected, and why")
        check_quiet(page)
    with chromium.Page("augmented.html") as page:
        page.evaluate("document.querySelectorAll('#gallery-list-0 button').forEach(b => b.click())")
        same(page.count("#gallery-list-0 .tile img"), 8 * 30, "views")
        check_quiet(page)
    # The name of a class is a text, and one that has no room is cut.
    with chromium.Page("listed.html") as page:
        same(page.count("i"), 0, "elements by a class's name")
        labels = names(page, "#class-counts svg text.tick")
        assert any(label.startswith("<i>tree</i>&=1, which") and "\u2026" in label for label in labels), labels
        assert "<i>tree</i>&=1, which no chart has the room to show" in names(page, "#class-counts details td")
    # Whatever gets into a page cannot ask anything of a network.
    with chromium.Page("page.html") as page:
        same(page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"), "refused", "a request")
        assert any("Content Security Policy" in problem for problem in page.problems), page.problems
    print("pages in Chromium: as they should be")


main()
