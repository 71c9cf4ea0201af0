"""A server on this machine that speaks the Hugging Face hub's protocol, so that the real client code can be tested.

What it knows: `resolve` with HEAD and GET, LFS redirects with the sha256 in `X-Linked-Etag`, ranges, repository
information and trees, and the endpoints of an upload of small files (create, preupload, commit).
"""

import base64
import hashlib
import json
import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import huggingface_hub.constants
import huggingface_hub.file_download
import huggingface_hub.utils._http

import geolib.common.hub


class LocalHub(ThreadingHTTPServer):
    """repositories: {id: [{file: content}, ...]}, a dictionary a commit, the newest last.

    requests: (method, path, Range header) of all that came.  faults: {what is served ("resolve" or "cdn"): how it goes
    wrong}: "cut" closes the connection half-way, once, "short" always serves half, "wrong" always changes a byte, a
    status code always answers with it, and a list of (status code, Retry-After) does, one after the other.
    naps: the seconds that geolib and huggingface_hub would have waited.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories, self.requests, self.faults, self.tokens, self.naps = {}, [], {}, None, []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def commit(self, repository, **files):
        """Add a commit that holds these files (a name has `__` for its dot); its hash."""
        named = {name.replace("__", "."): content for name, content in files.items()}
        return self.commit_files(repository, named)

    def commit_files(self, repository, named):
        self.repositories.setdefault(repository, []).append(named)
        return commit_hash(repository, len(self.repositories[repository]) - 1)

    def find(self, repository, revision):
        """(hash, {file: content}) of a commit, or None."""
        commits = self.repositories.get(repository, [])
        hashes = [commit_hash(repository, number) for number in range(len(commits))]
        if revision == "main" and commits:
            return hashes[-1], commits[-1]
        return (revision, commits[hashes.index(revision)]) if revision in hashes else None


def commit_hash(repository, number):
    return hashlib.sha1(f"{repository} {number}".encode()).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer()

    def answer(self):
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append((self.command, path, self.headers.get("Range")))
        tokens = self.server.tokens
        if tokens and self.headers.get("Authorization") not in {f"Bearer {token}" for token in tokens}:
            return self.say(401, {"error": "Invalid username or password."})
        for pattern, method in ROUTES.items():
            if found := re.fullmatch(pattern, path):
                return getattr(self, method)(*found.groups())
        return self.say(404, {"error": f"nothing at {path}"})

    def say(self, status, value=None, headers=None, content=None):
        body = json.dumps(value).encode() if content is None else content
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refused(self, what):
        """Answer with the status code that is due, if any; whether it was."""
        fault = self.server.faults.get(what)
        if isinstance(fault, list):
            status, wait = fault.pop(0) if fault else (None, None)
        else:
            status, wait = (fault, None) if isinstance(fault, int) else (None, None)
        if status:
            self.say(status, {"error": "busy"}, {"Retry-After": str(wait)} if wait is not None else {})
        return status is not None

    def resolve(self, repository, revision, file):
        commit = self.server.find(repository, revision)
        if repository not in self.server.repositories:
            return self.say(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        if commit is None:
            return self.say(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
        if file not in commit[1]:
            return self.say(404, {}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit[0]})
        if self.refused("resolve"):
            return None
        content = commit[1][file]
        if is_text(file):
            return self.say(200, None, {"X-Repo-Commit": commit[0], "ETag": f'"{git_sha1(content)}"'}, content)
        sha256 = hashlib.sha256(content).hexdigest()
        linked = {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content)), "ETag": f'"{git_sha1(content)}"'}
        place = {"Location": f"http://localhost:{self.server.server_port}/cdn/{sha256}", "X-Repo-Commit": commit[0]}
        return self.say(302, None, linked | place, b"")

    def cdn(self, sha256):
        contents = (c for commits in self.server.repositories.values() for files in commits for c in files.values())
        content = next(c for c in contents if hashlib.sha256(c).hexdigest() == sha256)
        if self.refused("cdn"):
            return
        fault = self.server.faults.get("cdn")
        if fault == "wrong":
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = int(found[1]) if (found := re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))) else 0
        rest = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        served = rest[: len(rest) // 2] if fault in ("cut", "short") else rest
        self.send_header("Content-Length", str(len(served if fault == "short" else rest)))
        self.end_headers()
        self.wfile.write(served)
        if fault == "cut":
            del self.server.faults["cdn"]
            self.close_connection = True

    def model(self, repository, revision="main"):
        commit = self.server.find(repository, revision)
        if commit is None:
            code = "RevisionNotFound" if repository in self.server.repositories else "RepoNotFound"
            return self.say(404, {"error": "not found"}, {"X-Error-Code": code})
        siblings = [{"rfilename": name, "size": len(content)} for name, content in commit[1].items()]
        return self.say(200, {"id": repository, "modelId": repository, "sha": commit[0], "siblings": siblings})

    def tree(self, repository, revision):
        _, files = self.server.find(repository, revision)
        rows = []
        for name, content in files.items():
            rows.append({"type": "file", "path": name, "size": len(content), "oid": git_sha1(content)})
            if not is_text(name):
                sha256 = hashlib.sha256(content).hexdigest()
                rows[-1]["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
        return self.say(200, rows)

    def create(self):
        asked = json.loads(self.body)
        repository = "/".join(filter(None, (asked.get("organization"), asked["name"])))
        status = 409 if repository in self.server.repositories else 200
        self.server.repositories.setdefault(repository, [])
        self.server.created = asked
        return self.say(status, {"url": f"{self.server.url}/{repository}", "error": "exists"})

    def validate(self):
        return self.say(200, {"warnings": [], "errors": []})

    def preupload(self, repository, revision):
        names = [file["path"] for file in json.loads(self.body)["files"]]
        return self.say(
            200, {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
        )

    def receive(self, repository, revision):
        lines = [json.loads(line) for line in self.body.splitlines()]
        files = {row["value"]["path"]: row["value"] for row in lines if row["key"] == "file"}
        sha = self.server.commit_files(
            repository, {name: base64.b64decode(value["content"]) for name, value in files.items()}
        )
        return self.say(200, {"commitUrl": f"{self.server.url}/{repository}/commit/{sha}", "commitOid": sha})


ROUTES = {
    r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)": "resolve",
    r"/cdn/([0-9a-f]{64})": "cdn",
    r"/api/models/([^/]+/[^/]+)": "model",
    r"/api/models/([^/]+/[^/]+)/revision/([^/]+)": "model",
    r"/api/models/([^/]+/[^/]+)/tree/([^/]+)": "tree",
    r"/api/repos/create": "create",
    r"/api/validate-yaml": "validate",
    r"/api/models/([^/]+/[^/]+)/preupload/([^/]+)": "preupload",
    r"/api/models/([^/]+/[^/]+)/commit/([^/]+)": "receive",
}


def is_text(name):
    return name.endswith((".json", ".md"))


def git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving(monkeypatch, cache):
    """A running `LocalHub` that huggingface_hub takes for the hub, with a cache of its own and without waiting."""
    hub = LocalHub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for module in (huggingface_hub.file_download, huggingface_hub.utils._http, geolib.common.hub):
        known = {name: getattr(time, name) for name in ("time", "monotonic", "perf_counter")}
        monkeypatch.setattr(module, "time", SimpleNamespace(**known, sleep=hub.naps.append))
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
