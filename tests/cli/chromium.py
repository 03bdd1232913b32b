"""Chromium without a window, driven through its DevTools protocol over a pipe."""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time

NAMES = ["chromium", "chromium-headless-shell", "/usr/bin/chromium-headless-shell", "chromium-browser"]


def program():
    """The browser's path, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """A page that is open. `problems`: what its console, its exceptions and its requests said."""

    def __init__(self, file, width=1100, height=800, dark=False, scale=1):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_child, ours_out = os.pipe()
        ours_in, from_child = os.pipe()

        def place():
            # The two ends may be 3 and 4 themselves, in either order.
            a, b = os.dup(to_child), os.dup(from_child)
            a, b = (os.dup(a), os.dup(b)) if min(a, b) < 5 else (a, b)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [program(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--no-first-run", "--disable-extensions", "--disable-background-networking", "--remote-debugging-pipe",
             f"--user-data-dir={self.profile.name}", "about:blank"],
            preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_child)
        os.close(from_child)
        self.out, self.input, self.number, self.rest = ours_out, ours_in, 0, b""
        self.problems, self.requests, self.loaded = [], [], False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.url = "file://" + os.path.abspath(file)
        self.call("Page.navigate", url=self.url)
        end = time.time() + 120
        while not self.loaded and time.time() < end:
            self.take()
        assert self.loaded, "the page did not load"

    def take(self):
        """The next message."""
        while b"\0" not in self.rest:
            got = os.read(self.input, 1 << 20)
            assert got, "Chromium has ended"
            self.rest += got
        line, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(line)
        method, params = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.problems.append(json.dumps(params)[:500])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.problems.append(json.dumps(params)[:500])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"][:200])
        return message

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if hasattr(self, "session"):
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.take()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def count(self, selector):
        return self.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length")

    def frames(self):
        """Lets two frames be drawn."""
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def drag(self, points):
        self.mouse("mousePressed", *points[0], button="left", buttons=1, clickCount=1)
        for point in points[1:]:
            self.mouse("mouseMoved", *point, button="left", buttons=1)
        self.mouse("mouseReleased", *points[-1], button="left", clickCount=1)

    def screenshot(self, file, selector=None):
        options = {}
        if selector:
            box = self.evaluate("(() => { const e = document.querySelector(%s); e.scrollIntoView(); const b = "
                                "e.getBoundingClientRect(); return [b.left + scrollX, b.top + scrollY, b.width, b.height]; })()"
                                % json.dumps(selector))
            self.frames()
            options = {"clip": dict(zip(("x", "y", "width", "height"), box), scale=1), "captureBeyondViewport": True}
        data = self.call("Page.captureScreenshot", format="png", **options)["data"]
        with open(file, "wb") as stream:
            stream.write(base64.b64decode(data))

    def foreign_requests(self):
        return [url for url in self.requests if not url.startswith(("data:", "about:", "blob:")) and url != self.url]

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.input)
        self.profile.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
