"""A loopback HTTP server that answers like the Hugging Face Hub, faults included.

    with HubServer() as hub:
        hub.add("tiiuae/falcon-7b", config={"model_type": "falcon"})
        hub.add("meta-llama/Llama-2-7b-hf", fault="gated")
        ... HF_ENDPOINT=hub.url ...

Headers and codes are those that huggingface_hub reads: X-Repo-Commit and ETag on files, X-Error-Code on refusals,
401 with RepoNotFound for a repository that does not exist (so the Hub answers whoever sends no token).
"""

import gzip
import hashlib
import json
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

BROKEN_BODIES = ("truncated", "endless", "hang_body", "drip", "short", "drop_body")
BOMB = gzip.compress(bytes(2**20)) * 64  # 64 MiB of zeros in 64 KiB, one member after another
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REFUSALS: dict[str, tuple[int, dict[str, str]]] = {
    "gated": (401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model is restricted."}),
    "gated_403": (403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Your request is awaiting a review."}),
    "forbidden": (403, {"X-Error-Message": "Your token lacks this permission."}),
    "bad_token": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
    "missing": (401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}),
    "missing_404": (404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}),
    "no_revision": (404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}),
    "plain_404": (404, {}),
    "rate_limited": (429, {"Retry-After": "37"}),
    "rate_limited_briefly": (429, {"Retry-After": "0"}),
    "server_error": (500, {"X-Error-Message": "Internal Error"}),
    "unavailable": (503, {}),
}


@dataclass
class Repository:
    """One repository; fault is a key of REFUSALS or one of hang, hang_body, drip, truncated, endless, short, drop,
    drop_body, not_a_hub, packed, bomb, circle."""

    files: dict[str, bytes] = field(default_factory=dict)
    commit: str = COMMIT
    fault: str | None = None
    moved_to: str | None = None  # answers 307 to the new name, as the Hub does for a renamed repository
    faults_left: int | None = None  # the fault is over after so many answers; None: never
    parameters: dict[str, int] | None = None  # safetensors elements by dtype, for /api/models
    ignores_ranges: bool = False  # answers 200 with the whole file
    lets_in: str | None = None  # gated: the token that reads its files; without one 401, with another 403
    info: bytes | None = None  # what /api/models says, instead of the usual
    large_file_elsewhere: str | None = None  # base URL of the host that holds the bytes: a redirect off the Hub


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    method: str
    path: str
    authorization: str | None
    byte_range: str | None = None


class HubServer:
    """Serves repositories until the with block ends; url is what HF_ENDPOINT must be."""

    def __init__(self, port: int = 0) -> None:
        self.repositories: dict[str, Repository] = {}
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        self._server.daemon_threads = True
        self._server.hub = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, repository: str, *, config: object = None, **settings: Any) -> Repository:
        """Adds or replaces a repository; config (bytes, or what json writes) becomes its config.json."""
        added = Repository(**settings)
        if config is not None:
            added.files["config.json"] = config if isinstance(config, bytes) else json.dumps(config, indent=2).encode()
        self.repositories[repository] = added
        return added

    def methods(self, repository: str) -> list[str]:
        """Methods of the file requests for one repository, in order."""
        return [asked.method for asked in self.asked if asked.path.startswith(f"/{repository}/")]

    def __enter__(self) -> "HubServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    @property
    def hub(self) -> HubServer:
        return self.server.hub  # type: ignore[attr-defined,no-any-return]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(Asked(self.command, path, self.headers.get("Authorization"), self.headers.get("Range")))
        try:
            if path.startswith("/api/models/"):
                self._metadata(path.removeprefix("/api/models/").split("/revision/")[0])
            else:
                self._file(path)
        except (BrokenPipeError, ConnectionResetError):  # the client gave up: what a bounded client does
            self.close_connection = True

    def _file(self, path: str) -> None:
        name, separator, rest = path.lstrip("/").partition("/resolve/")
        repository = self.hub.repositories.get(name)
        if not separator or repository is None:
            self._refuse("missing")
        elif repository.faults_left == 0:
            repository.fault = repository.faults_left = None
            self._file(path)
        elif repository.lets_in is not None and self.headers.get("Authorization") != f"Bearer {repository.lets_in}":
            self._refuse("gated_403" if "Authorization" in self.headers else "gated")
        elif repository.fault == "circle":
            self._send(302, {"Location": self.path}, b"")
        elif repository.moved_to is not None:
            self._send(307, {"Location": f"/{repository.moved_to}/resolve/{rest}"}, b"")
        elif repository.fault == "hang":
            self._hang()
        elif repository.fault == "drop":
            self._drop()
        elif repository.fault in REFUSALS:
            if repository.faults_left is not None:
                repository.faults_left -= 1
            self._refuse(repository.fault)
        else:
            revision, _, filename = rest.partition("/")
            self._content(repository, revision, filename)

    def _content(self, repository: Repository, revision: str, filename: str) -> None:
        if revision not in ("main", repository.commit):
            self._refuse("no_revision")
            return
        body = repository.files.get(filename)
        if body is None:
            headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repository.commit}
            self._send(404, headers, b"Entry not found")
            return
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{hashlib.sha1(body).hexdigest()}"'}
        if repository.fault == "not_a_hub":
            headers = {}
        if repository.large_file_elsewhere is not None:
            headers |= {"X-Linked-Size": str(len(body)), "X-Linked-Etag": headers["ETag"]}
            self._send(302, {**headers, "Location": f"{repository.large_file_elsewhere}/{filename}"}, b"")
        elif self.command == "GET" and repository.fault in BROKEN_BODIES:
            self._broken_body(repository, headers, body)
        elif self.command == "GET" and repository.fault in ("packed", "bomb"):
            packed = gzip.compress(body) if repository.fault == "packed" else BOMB
            self._send(200, {**headers, "Content-Encoding": "gzip"}, packed)
        elif self.command == "HEAD" and repository.fault == "endless":
            self._send(200, headers, None)
        elif self.command == "GET" and not repository.ignores_ranges and "Range" in self.headers:
            self._part(headers, body)
        else:
            self._send(200, headers, body)

    def _part(self, headers: dict[str, str], body: bytes) -> None:
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        part = body[int(first) : int(last) + 1]
        whole = {"Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}"}
        self._send(206, {**headers, **whole}, part)

    def _broken_body(self, repository: Repository, headers: dict[str, str], body: bytes) -> None:
        fault = repository.fault
        if repository.faults_left is not None:
            repository.faults_left -= 1
        self.send_response(200)
        for key, value in headers.items():
            self.send_header(key, value)
        self.close_connection = True
        if fault == "endless":
            self.send_header("Connection", "close")
            self.end_headers()
            while not self.hub.closing.is_set():
                self.wfile.write(b" " * 65_536)
            return
        self.send_header("Content-Length", str(len(body) // 2 if fault == "short" else len(body)))
        self.end_headers()
        if fault == "short":
            self.wfile.write(body)
            return
        if fault == "drip":
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if self.hub.closing.wait(0.05):
                    return
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        if fault == "hang_body":
            self._hang()
        elif fault == "drop_body":
            self._drop()

    def _metadata(self, name: str) -> None:
        repository = self.hub.repositories.get(name)
        if repository is None:
            self._refuse("missing")
        elif repository.fault == "hang":
            self._hang()
        elif repository.fault in REFUSALS:
            self._refuse(repository.fault)
        elif repository.fault == "not_a_hub":
            self._send(200, {"Content-Type": "text/html"}, b"<html>sign in</html>")
        elif repository.info is not None:
            self._send(200, {"Content-Type": "application/json"}, repository.info)
        else:
            info: dict[str, Any] = {"_id": "1", "id": name, "sha": repository.commit}
            info["siblings"] = [{"rfilename": name} for name in repository.files]
            if repository.parameters is not None:
                info["safetensors"] = {
                    "parameters": repository.parameters,
                    "total": sum(repository.parameters.values()),
                }
            self._send(200, {"Content-Type": "application/json"}, json.dumps(info).encode())

    def _hang(self) -> None:
        """Says nothing until the server is closed."""
        self.close_connection = True
        self.hub.closing.wait()

    def _drop(self) -> None:
        """Breaks the connection off at once, as a cable does that is pulled: what was sent may be lost too."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.close(self.connection.detach())

    def _refuse(self, fault: str) -> None:
        status, headers = REFUSALS[fault]
        self._send(status, headers, json.dumps({"error": headers.get("X-Error-Message", "")}).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes | None) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and body:
            self.wfile.write(body)
