"""Git repositories that tests make, forged ones too, and servers of them: git's own http-backend, and git daemon."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .places import free_port, wait_for

IDENTITY = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "c",
    "GIT_COMMITTER_EMAIL": "c@example.org",
    "GIT_AUTHOR_DATE": "1500000000 +0000",
    "GIT_COMMITTER_DATE": "1500000000 +0000",
}


class Repo:
    """A repository with a working tree. ``new``: it is made, else it is there."""

    def __init__(self, path: Path, *options: str, new: bool = True) -> None:
        self.path = path
        if new:
            path.mkdir(parents=True)
            self.git("init", "-q", "-b", "main", *options)

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """What git says; it must succeed."""
        done = subprocess.run(
            ["git", "-c", "protocol.file.allow=always", *arguments],
            cwd=self.path,
            env={
                "PATH": os.environ["PATH"],
                "HOME": "/nonexistent",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": "/dev/null",
                "GIT_CEILING_DIRECTORIES": str(self.path.parent),
                **IDENTITY,
            },
            input=stdin,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def write(self, path: str, text: str | bytes, *, mode: int = 0o644) -> None:
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        target.chmod(mode)

    def commit(self, files: Mapping[str, str] | None = None, message: str = "x") -> str:
        """Write files, add everything, commit; gives the commit's id."""
        for path, text in (files or {}).items():
            self.write(path, text)
        self.git("add", "-A")
        self.git("commit", "-qm", message, "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def submodule(self, other: Repo, path: str, url: str | None = None) -> None:
        """Check another repository out at ``path``, recorded with ``url``."""
        self.git("submodule", "--quiet", "add", "-f", str(other.path), path)
        if url is not None:
            self.git("config", "-f", ".gitmodules", f"submodule.{path}.url", url)

    def blob(self, data: bytes = b"x") -> str:
        return self.git("hash-object", "-w", "--stdin", stdin=data)

    def forge(self, kind: str, data: bytes) -> str:
        """Any object at all."""
        return self.git("hash-object", "-w", "-t", kind, "--literally", "--stdin", stdin=data)

    def forge_commit(self, *entries: tuple[str, bytes, str]) -> str:
        """A commit of a tree with exactly these entries (mode, name, id), in this order."""
        data = b"".join(f"{mode} ".encode() + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
        return self.commit_tree(self.forge("tree", data))

    def commit_tree(self, tree: str) -> str:
        who = b"a <a@example.org> 1500000000 +0000"
        commit = self.forge("commit", b"tree %b\nauthor %b\ncommitter %b\n\nforged\n" % (tree.encode(), who, who))
        self.git("update-ref", "refs/heads/main", commit)
        return commit


@contextmanager
def http_repositories(
    base: Path,
    *,
    single_commits: bool = True,
    authorization: str = "",
    before: Callable[[http.server.BaseHTTPRequestHandler], bool] = lambda handler: False,
) -> Iterator[str]:
    """git's http-backend over a directory of repositories.

    ``single_commits``: by the second protocol, as servers do today; else by the one that gives only what has a name.
    ``authorization``: the header that every request must have. ``before``: answers instead, when it gives True.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if before(self):
                return
            if authorization and self.headers.get("Authorization") != authorization:
                self.send_error(401)
                return
            self._answer(b"")

        def do_POST(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not before(self):
                self._answer(body)

        def _answer(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            backend = subprocess.run(
                ["git", "http-backend"],
                env={
                    "PATH": os.environ["PATH"],
                    "GIT_PROJECT_ROOT": str(base),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_CONFIG_COUNT": "1",
                    "GIT_CONFIG_KEY_0": "safe.directory",
                    "GIT_CONFIG_VALUE_0": "*",
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    **({"GIT_PROTOCOL": self.headers.get("Git-Protocol", "")} if single_commits else {}),
                },
                input=body,
                capture_output=True,
            )
            head, _, content = backend.stdout.partition(b"\r\n\r\n")
            headers = [line.decode().partition(": ")[::2] for line in head.split(b"\r\n")]
            status = next((int(value.split()[0]) for key, value in headers if key == "Status"), 200)
            self.send_response(status)
            for key, value in headers:
                if key != "Status":
                    self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client may leave early."""

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def git_daemon(base: Path) -> Iterator[str]:
    """git's own server of the protocol git://."""
    port = free_port()
    running = subprocess.Popen(
        ["git", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={port}", f"--base-path={base}", str(base)],
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
             "GIT_CONFIG_VALUE_0": "*"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(port, running)
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(running.pid, 15)
        running.wait()
