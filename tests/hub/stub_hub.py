"""A hub on this machine's own loopback: as much of its protocol as huggingface_hub asks for, in memory."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GATED, FORBIDDEN = "owner/gated", "somebody/else"
TOKEN = "hf_a_token_of_the_tests"


@dataclass
class Stub:
    """What the hub holds, and what it was asked.

    Attributes:
        url: where it listens.
        files: of every repository, by name, at its only commit.
        private: whether each was made private.
        asked: method, path and token of every request.
    """

    url: str = ""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)


def handler_of(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, status: int, body: Any = b"", **headers: str) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", headers.pop("length", str(len(data))))
            self.send_header("X-Repo-Commit", COMMIT)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path).strip("/").removeprefix("api/models/")
            stub.asked.append((self.command, path, self.headers.get("Authorization", "")))
            owner, name, *rest = [*path.split("/"), "", ""]
            repo = f"{owner}/{name}"
            if repo == GATED:
                return self.answer(403, X_Error_Code="GatedRepo")
            if repo not in stub.files:
                return self.answer(401, X_Error_Code="RepoNotFound")
            what, revision, *inner = [*rest, "", ""]
            if revision not in ("", "main", "v1", COMMIT):
                return self.answer(404, X_Error_Code="RevisionNotFound")
            files = stub.files[repo]
            if what == "resolve":
                data = files.get("/".join(inner).strip("/"))
                if data is None:
                    return self.answer(404, X_Error_Code="EntryNotFound")
                return self.answer(200, data, ETag=f'"{hashlib.sha1(data).hexdigest()}"')
            if what == "tree":
                tree = [{"type": "file", "path": each, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                        for each, data in files.items()]  # fmt: skip
                return self.answer(200, tree)
            siblings = [{"rfilename": each} for each in files]
            return self.answer(200, {"_id": "1", "id": repo, "sha": COMMIT, "siblings": siblings, "tags": []})

        def do_POST(self) -> None:
            path, data = urlsplit(self.path).path.strip("/"), self.body()
            token = self.headers.get("Authorization", "")
            stub.asked.append(("POST", path, token))
            if path == "api/validate-yaml":
                return self.answer(200, {"errors": [], "warnings": []})
            if token != f"Bearer {TOKEN}":
                return self.answer(401, {"error": "Invalid username or password."})
            if path == "api/repos/create":
                asked = json.loads(data)
                repo = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
                if repo == FORBIDDEN:
                    return self.answer(403, {"error": "You don't have the rights to create a model here."})
                known = repo in stub.files
                stub.files.setdefault(repo, {})
                stub.private.setdefault(repo, bool(asked.get("private") or asked.get("visibility") == "private"))
                return self.answer(409 if known else 200, {"url": f"{stub.url}/{repo}", "name": repo})
            *_, owner, name, what, _revision = path.split("/")
            repo = f"{owner}/{name}"
            if what == "preupload":
                modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                         for file in json.loads(data)["files"]]  # fmt: skip
                return self.answer(200, {"files": modes})
            for line in filter(None, data.splitlines()):
                entry = json.loads(line)
                if entry["key"] == "file":
                    assert entry["value"]["encoding"] == "base64"
                    stub.files[repo][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            commit = {"commitUrl": f"{stub.url}/{repo}/commit/{COMMIT}", "commitOid": COMMIT, "success": True}
            return self.answer(200, commit)

    return Handler


@contextmanager
def stub_hub() -> Iterator[Stub]:
    """A hub that listens until the end."""
    stub = Stub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(stub))
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
