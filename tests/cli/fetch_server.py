"""A hub and a mirror on this machine, for fetch.sh: fetch_server.py FOLDER LOG ADDRESS_FILE [CERTIFICATE].

FOLDER/ORG/NAME/... are repositories, FOLDER/mirror/... the files of a mirror. The first part of an address says how the server
behaves: /ok/org/name/resolve/..., /cut/mirror/x.pth. LOG has a line for each request: method, address, Host, Range, token. The
server's address without that part goes to ADDRESS_FILE once it listens.
"""
import hashlib
import http.server
import json
import os
import sys
import time

from announced_server import serve

FOLDER, LOG, ADDRESS = sys.argv[1:4]
CERTIFICATE = sys.argv[4] if len(sys.argv) > 4 else None
SCHEME = "https" if CERTIFICATE else "http"
COMMIT = "c0ffee" + "0" * 34
seen = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        with open(LOG, "a") as log:
            print(self.command, self.path, "host=" + self.headers.get("Host", ""), "range=" + self.headers.get("Range", "-"),
                  "token=" + self.headers.get("Authorization", "-"), file=log)
        path = self.path.split("://", 1)[-1]  # what a proxy is asked
        path = path[path.index("/"):]
        _, mode, rest = path.split("/", 2)
        self.mode = mode
        self.times = seen[path, self.command] = seen.get((path, self.command), 0) + 1
        if rest.startswith("api/models/"):
            self.list_files(rest[len("api/models/"):])
        elif "/resolve/" in rest:
            repository, file = rest.split("/resolve/" + COMMIT + "/")
            self.send_file(os.path.join(FOLDER, repository, file), is_hub=True)
        else:
            self.send_file(os.path.join(FOLDER, rest), is_hub=False)

    def status(self, code, **headers):
        self.send_response(code)
        for name, value in {"Content-Length": "0", **{key.replace("_", "-"): value for key, value in headers.items()}}.items():
            self.send_header(name, value)
        self.end_headers()

    def list_files(self, rest):
        repository, revision = rest.split("/revision/")
        folder = os.path.join(FOLDER, repository)
        if self.mode == "busy" and self.times < 3:
            return self.status(503)
        if not os.path.isdir(folder):
            return self.status(401, X_Error_Code="RepoNotFound")
        if revision not in ("main", "v1", COMMIT):
            return self.status(404, X_Error_Code="RevisionNotFound")
        names = [os.path.relpath(os.path.join(at, name), folder) for at, _, files in os.walk(folder) for name in files]
        about = {"sha": "../../elsewhere" if self.mode == "badcommit" else COMMIT, "siblings": [{"rfilename": name} for name in names]}
        text = json.dumps(about).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def send_file(self, path, is_hub):
        mode = self.mode
        weights = not path.endswith(".json")
        refusals = {"gated": (401, {"X_Error_Code": "GatedRepo"}), "secret": (401, {}), "forbidden": (403, {}), "gone": (404, {})}
        if mode in refusals and weights:
            code, headers = refusals[mode]
            return self.status(code, **headers)
        if not os.path.exists(path):
            return self.status(404)
        data = open(path, "rb").read()
        etag = hashlib.sha256(data).hexdigest() if weights else hashlib.sha1(data).hexdigest()
        if mode == "evil":
            etag = "../../../elsewhere"
        headers = {"ETag": f'"{etag}"', "X_Linked_Etag": f'"{etag}"', "X_Linked_Size": str(len(data)), "X_Repo_Commit": COMMIT}
        if not is_hub:
            headers = {"ETag": f'"{etag}"'}
        own = f"{SCHEME}://{self.headers['Host']}"
        elsewhere = own.replace("127.0.0.1", "localhost")
        targets = {"away": elsewhere + "/cdn/" + os.path.relpath(path, FOLDER), "near": own + "/cdn/" + os.path.relpath(path, FOLDER),
                   "loop": own + self.path, "file": "file:///etc/passwd", "ftp": "ftp://localhost/x"}
        if mode in targets and weights:
            return self.status(302, Location=targets[mode], **headers)
        if self.command == "HEAD":
            return self.status(200, **{**headers, "Content-Length": str(len(data))})
        if mode == "wrong" and weights:
            data = data[:-1] + bytes([data[-1] ^ 1])
        self.send_body(data, headers, mode if weights else "ok")

    def send_body(self, data, headers, mode):
        first, total = 0, len(data)
        wanted = self.headers.get("Range")
        if wanted and mode != "noranges":
            first = int(wanted[len("bytes="):-1])
            if first >= total:
                return self.status(416, Content_Range=f"bytes */{total}")
            if mode == "shifted":
                first -= 1
        self.send_response(206 if first else 200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/" + ("*" if mode == "star" else str(total)))
        self.send_header("Content-Length", str(total - first))
        self.end_headers()
        part = data[first:]
        if mode in ("cut", "star"):  # a quarter at a time
            part = part[:total // 4 + 1]
        elif mode in ("noranges", "shifted") and self.times == 1:
            part = part[:total // 2]
        elif mode == "stall" and self.times == 1:
            self.wfile.write(part[:total // 2])
            self.wfile.flush()
            time.sleep(4)
            self.close_connection = True
            return
        elif mode in ("slow", "slower"):
            for i in range(0, len(part), 65536):
                self.wfile.write(part[i:i + 65536])
                time.sleep(0.1 if mode == "slower" else 0.03)
            return
        self.wfile.write(part)
        if first + len(part) < total:
            self.close_connection = True


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
serve(server, ADDRESS, SCHEME, CERTIFICATE)
