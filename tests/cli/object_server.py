"""A server of files and of S3 on this machine, for remote_tars.sh: object_server.py FOLDER LOG ADDRESS_FILE [CERTIFICATE].

The first part of a path says how the server behaves (a bucket, as S3 names it): /ok/x.tar, /cut/x.tar; what follows is a file in
FOLDER. Parts that begin with "s3-" want a signature, which is checked here after "Signature Version 4" of the AWS General
Reference: no code of a client is used. LOG has a line for each request. The server's address goes to ADDRESS_FILE once it listens.
"""
import datetime
import email.utils
import hashlib
import hmac
import http.server
import os
import re
import sys
import time
import urllib.parse

from announced_server import serve

FOLDER, LOG, ADDRESS = sys.argv[1:4]
CERTIFICATE = sys.argv[4] if len(sys.argv) > 4 else None
SCHEME = "https" if CERTIFICATE else "http"
REGION = "eu-west-1"
SECRETS = {"AKIDPERMANENT": ("s3cr/et+of=forty", None), "ASIATEMPORARY": ("other/secret", "se/ss+ion==")}
UNRESERVED = "-._~"
seen = {}


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature_problem(handler):
    """The code by which S3 refuses the request; None: it is signed as it should be."""
    headers = {name.lower(): " ".join(value.split()) for name, value in handler.headers.items()}
    found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
                         r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})", headers.get("authorization", ""))
    if not found:
        return "AccessDenied"
    key, day, region, service, names, signature = found.groups()
    if key not in SECRETS:
        return "InvalidAccessKeyId"
    secret, session = SECRETS[key]
    if headers.get("x-amz-security-token") != session:
        return "InvalidToken"
    if (region, service) != (REGION, "s3"):
        return "AuthorizationHeaderMalformed"
    signed = names.split(";")
    if signed != sorted(signed) or "host" not in signed or any(n.startswith("x-amz-") and n not in signed for n in headers):
        return "AccessDenied"
    now = datetime.datetime.now(datetime.timezone.utc)
    when = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    if abs((now - when).total_seconds()) > 900 or not headers["x-amz-date"].startswith(day):
        return "RequestTimeTooSkewed"
    payload = headers.get("x-amz-content-sha256")
    if payload not in ("UNSIGNED-PAYLOAD", hashlib.sha256(b"").hexdigest()):
        return "InvalidRequest"
    path, _, query = handler.path.partition("?")
    path = urllib.parse.quote(urllib.parse.unquote_to_bytes(path), safe="/" + UNRESERVED)
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    query = "&".join(f"{urllib.parse.quote(k, safe=UNRESERVED)}={urllib.parse.quote(v, safe=UNRESERVED)}" for k, v in pairs)
    request = "\n".join([handler.command, path, query, *(f"{n}:{headers[n]}" for n in signed), "", names, payload])
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(request.encode()).hexdigest()])
    derived = ("AWS4" + secret).encode()
    for part in (day, region, service, "aws4_request"):
        derived = sign(derived, part)
    return None if hmac.compare_digest(sign(derived, text).hex(), signature) else "SignatureDoesNotMatch"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def refuse(self, status, code, **headers):
        body = f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>no</Message></Error>'.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        mode, _, rest = self.path.lstrip("/").partition("/")
        name = urllib.parse.unquote(rest.partition("?")[0])
        login = self.headers.get("Authorization", "-").split(" ")[0]
        with open(LOG, "a") as log:
            print(f"{mode} {name} host={self.headers.get('Host')} range={self.headers.get('Range', '-')} "
                  f"if-range={self.headers.get('If-Range', '-')} login={login} path={self.path}", file=log)
        if mode.startswith("s3-"):
            mode = mode[3:]
            problem = signature_problem(self)
            if problem:
                return self.refuse(403, problem)
        self.mode = mode
        self.is_look = self.headers.get("Range") == "bytes=0-511"
        if not self.is_look:
            seen[self.path] = seen.get(self.path, 0) + 1
        self.times = seen.get(self.path, 0)
        self.serve(mode, name)

    def serve(self, mode, name):
        path = os.path.join(FOLDER, name)
        port = self.server.server_address[1]
        refusals = {"forbidden": (403, "AccessDenied"), "down": (500, "InternalError")}
        if mode in refusals:
            return self.refuse(*refusals[mode])
        if mode == "busy":
            count = seen[self.path, "busy"] = seen.get((self.path, "busy"), 0) + 1
            if count % 3:
                return self.refuse(503 if count % 3 == 1 else 500, "SlowDown")
        if mode == "region":
            return self.refuse(301, "PermanentRedirect", x_amz_bucket_region="ap-south-1")
        if mode == "away":
            return self.refuse(307, "TemporaryRedirect", Location=f"{SCHEME}://localhost:{port}/ok/{name}")
        if mode == "login" and self.headers.get("Authorization") != "Basic bWU6c2VjcmV0":
            return self.refuse(401, "Unauthorized")
        if not os.path.isfile(path):
            return self.refuse(404, "NoSuchKey")
        self.send_file(path, mode)

    def send_file(self, path, mode):
        data = open(path, "rb").read()
        etag = '"' + hashlib.md5(data).hexdigest() + '"'
        if mode in ("changed", "swapped") and self.times > 1:
            etag = '"another"'
        first, last, total = 0, len(data) - 1, len(data)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        modified = email.utils.formatdate(os.path.getmtime(path), usegmt=True)
        has_part = wanted and mode not in ("noranges", "nothing")
        if mode != "swapped" and condition and condition not in (etag, modified):
            has_part = False
        if has_part:
            first, last = int(wanted[1]), min(int(wanted[2] or last), last)
            if first >= total:
                return self.refuse(416, "InvalidRange", Content_Range=f"bytes */{total}")
        self.send_response(206 if has_part else 200)
        if mode not in ("dated", "nothing"):
            self.send_header("ETag", etag)
        if mode != "nothing":
            self.send_header("Last-Modified", modified)
        if has_part:
            said = 2**62 if mode == "huge" else total
            self.send_header("Content-Range", f"bytes {first}-{last}/{said}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.send_body(data[first:last + 1], mode, total)

    def send_body(self, part, mode, total):
        if self.is_look:
            self.wfile.write(part)
            return
        if mode in ("cut", "dated"):  # a quarter at a time
            sent = part[:total // 4 + 1]
        elif mode in ("changed", "swapped", "noranges", "nothing", "half") and self.times == 1:
            sent = part[:total // 2]
        elif mode == "slow":
            for i in range(0, len(part), 4096):
                self.wfile.write(part[i:i + 4096])
                self.wfile.flush()
                time.sleep(0.05)
            return
        elif mode == "stall":
            self.wfile.write(part[:total // 2])
            self.wfile.flush()
            time.sleep(60)
            return
        else:
            sent = part
        self.wfile.write(sent)
        if len(sent) < len(part):
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):  # a client that has gone
        pass


server = Server(("127.0.0.1", 0), Handler)
serve(server, ADDRESS, SCHEME, CERTIFICATE)
