#!/usr/bin/env python3
"""The pictures of pages in README.md and docs/page.md, taken of a page by Chromium.

usage: page_pictures.py PAGE.html FOLDER

docs/ has those of CIFAR-10's 60,000 photographs:

    extract cifar10/ -o cifar.h5 --backbone resnet18_w16 --weights resnet18_w16_cifar10.pth
    train cifar.h5 --lr 1e-3 --epochs 5 -o cifar.safetensors
    inspect cifar.h5 --model cifar.safetensors -o cifar.html
    tests/tools/page_pictures.py cifar.html docs
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
import chromium  # noqa: E402


def main():
    page_file, folder = sys.argv[1:]
    with chromium.Page(page_file, width=540, height=700) as page:
        row, column = page.evaluate(
            "(() => { const wrong = [...document.querySelectorAll('#confusion-0 .cell.wrong')]; const count = (c) => "
            "Number(c.querySelector('title').textContent.split(' ').pop()); wrong.sort((a, b) => count(b) - count(a)); "
            "return [wrong[0].dataset.row, wrong[0].dataset.column]; })()")
        page.evaluate(f"document.querySelector('#confusion-0 [data-row=\"{row}\"][data-column=\"{column}\"]')"
                      ".dispatchEvent(new MouseEvent('click', {bubbles: true}))")
        # One line of the cell's images is enough.
        page.evaluate("[...document.querySelectorAll('#cell-0 .tile')].slice(3).forEach(t => t.remove())")
        page.evaluate("document.querySelectorAll('#cell-0 button, #confusion-0 details').forEach(e => e.hidden = true)")
        page.evaluate("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; })")
        page.evaluate("new Promise(done => setTimeout(done, 500))")
        page.screenshot(os.path.join(folder, "page-confusion.png"), ".wide:has(#confusion-0)")
        # Small, since so many colours make a large file.
        page.call("Emulation.setDeviceMetricsOverride", width=460, height=600, deviceScaleFactor=1, mobile=False)
        page.evaluate("document.getElementById('map').scrollIntoView()")
        page.frames()
        page.screenshot(os.path.join(folder, "page-map.png"), "#map")
    for name in ("page-confusion.png", "page-map.png"):
        print(name, os.path.getsize(os.path.join(folder, name)), "bytes")


main()
