"""The packtype ``git``: the tree of one commit, read by our own walk of git's objects.

Never is git run inside a directory that we did not make: what is wanted is fetched into an empty bare repository
of ours, with hooks, replacements, filters and every outside configuration switched off. Attributes do not count:
files are 0644 or 0755, directories 0755, owner 0, every mtime the same. Git's own tree order is our canonical order.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from warpforge.errors import Unable
from warpforge.fsx.tree import Entry

if TYPE_CHECKING:
    from warpforge.fsx.tree import Content

MTIME: Final = 1262304000
_HEX: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_OPTIONS: Final = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.protectHFS=true",
    "-c", "core.protectNTFS=true",
    "-c", "transfer.fsckObjects=true",
    "-c", "protocol.ext.allow=never",
    "-c", "protocol.version=2",
    "-c", "gc.auto=0",
)  # fmt: skip
# where git looks for a short name, first match wins (gitrevisions)
_RULES: Final = ("{}", "refs/{}", "refs/tags/{}", "refs/heads/{}", "refs/remotes/{}", "refs/remotes/{}/HEAD")
_DOTGIT: Final = re.compile(rb"(?i)\.git[ .]*\Z|git~[0-9]+\Z")
_IGNORED_BY_HFS: Final = re.compile(b"\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf")


class Repository:
    """A bare repository of ours at ``directory`` (which must not exist), filled by ``fetch``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        config = directory.parent / (directory.name + ".config")
        # a source that belongs to somebody else is only read; git wants to be told so
        config.write_text("[safe]\n\tdirectory = *\n")
        self._environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C",
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(config),
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_ALLOW_PROTOCOL": "file",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
        }
        self._git("init", "-q", "--bare", "--template=", str(directory), inside=False)

    def fetch(self, source: Path, ref: str) -> str:
        """Fetch what ``ref`` names in the repository at ``source``; gives the commit's full id.

        ``ref``: a name by git's rules, a full or short id, or any revision such as ``HEAD~2``.
        Errors: ``git`` (reason ref, unsafe or failed).
        """
        if ref.startswith("-") or not ref:
            raise Unable("git", f"not a git ref: {ref!r}", reason="unsafe", ref=ref)
        url = _url(source)
        wanted = ref if _HEX.match(ref) else self._advertised(url).get(ref)
        if wanted:
            self._git("fetch", "-q", "--no-tags", "--depth=1", "--no-recurse-submodules", url, wanted)
            return self._commit(wanted, ref, source)
        # a revision such as HEAD~2 or a short id: only the whole history can tell
        self._git("fetch", "-q", "--no-tags", "--update-shallow", url, "+refs/*:refs/*", "+HEAD:refs/HEAD")
        return self._commit(re.sub(r"^(HEAD|@)(?![\w/])", "refs/HEAD", ref), ref, source)

    def entries(self, commit: str, source: Path) -> Iterator[tuple[Entry, Content | None]]:
        """The commit's tree in canonical order; submodules are fetched from their checkouts below ``source``.

        Errors: ``git`` (reason unsafe for a name that no checkout may hold; submodule for one that cannot be had).
        """
        yield Entry(b"", "d", 0o755, mtime=MTIME), None
        yield from self._entries(commit, source, b"")

    def _entries(self, commit: str, source: Path, prefix: bytes) -> Iterator[tuple[Entry, Content | None]]:
        listing = self._git("ls-tree", "-r", "-t", "-z", "--full-tree", commit)
        directories = {b""}
        seen: set[bytes] = set()
        with _Objects(self._command("cat-file", "--batch"), self._environment) as objects:
            for line in listing.split(b"\0")[:-1]:
                head, _, path = line.partition(b"\t")
                mode, kind, oid = head.split(b" ")
                _check_name(path, directories, seen)
                at = prefix + path
                if kind == b"tree":
                    directories.add(path)
                    yield Entry(at, "d", 0o755, mtime=MTIME), None
                elif kind == b"commit":
                    yield Entry(at, "d", 0o755, mtime=MTIME), None
                    yield from self._submodule(oid.decode(), source / os.fsdecode(path), at + b"/")
                elif mode == b"120000":
                    yield Entry(at, "L", 0o777, mtime=MTIME, link=objects.open(oid).read(1 << 20)), None
                else:
                    content = objects.open(oid)
                    permissions = 0o755 if mode == b"100755" else 0o644
                    yield Entry(at, "f", permissions, mtime=MTIME, size=content.left), content
                    content.drain()

    def _submodule(self, commit: str, source: Path, prefix: bytes) -> Iterator[tuple[Entry, Content | None]]:
        try:
            self.fetch(source, commit)
        except Unable as error:
            raise Unable(
                "git",
                f"the submodule at {os.fsdecode(prefix[:-1])} has no commit {commit} to be had: check it out first",
                cause=error,
                reason="submodule",
                path=os.fsdecode(prefix[:-1]),
            ) from error
        yield from self._entries(commit, source, prefix)

    def _advertised(self, url: str) -> dict[str, str]:
        """Every name by which a ref can be called, and its commit's or tag's id."""
        full = {}
        for line in self._git("ls-remote", "-q", url).decode("utf-8", "surrogateescape").splitlines():
            oid, _, name = line.partition("\t")
            full[name] = oid
        named: dict[str, str] = {}
        for name, oid in full.items():
            for rule in _RULES:
                before, _, after = rule.partition("{}")
                if name.startswith(before) and name.endswith(after):
                    short = name[len(before) : len(name) - len(after)]
                    if short and next(r.format(short) for r in _RULES if r.format(short) in full) == name:
                        named[short] = oid
        return named

    def _commit(self, revision: str, ref: str, source: Path) -> str:
        try:
            return self._git("rev-parse", "-q", "--verify", "--end-of-options", revision + "^{commit}").decode().strip()
        except Unable as error:
            raise Unable(
                "git", f"{source} has no commit called {ref!r}", cause=error, reason="ref", ref=ref, path=str(source)
            ) from error

    def _command(self, *arguments: str) -> list[str]:
        return ["git", *_OPTIONS, "--git-dir", str(self._directory), *arguments]

    def _git(self, *arguments: str, inside: bool = True) -> bytes:
        command = self._command(*arguments) if inside else ["git", *_OPTIONS, *arguments]
        try:
            done = subprocess.run(
                command, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
        except FileNotFoundError as error:
            raise Unable("git", "git is not installed: install it to ingest from git", cause=error) from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise Unable("git", f"git {arguments[0]}: {said[-1] if said else 'failed'}", reason="failed")
        return done.stdout


class _Objects:
    """One ``git cat-file --batch``: ask for an object, read all of it, ask for the next."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> _Objects:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        self._process.wait()

    def open(self, oid: bytes) -> _Blob:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin and stdout
        stdin.write(oid + b"\n")
        stdin.flush()
        head = stdout.readline().split()
        if len(head) != 3 or head[1] != b"blob":
            raise Unable("git", f"the object {oid.decode()} is missing", reason="failed")
        return _Blob(stdout, int(head[2]))


class _Blob:
    """The content of one blob, on its way."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self.left = size
        self._open = True

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(min(size, self.left))
        self.left -= len(data)
        if not self.left and self._open:
            self._open = False
            self._stream.read(1)  # the newline behind every object
        return data

    def drain(self) -> None:
        while self._open:
            self.read(1 << 20)


def _check_name(path: bytes, directories: set[bytes], seen: set[bytes]) -> None:
    parent, _, name = path.rpartition(b"/")
    plain = _IGNORED_BY_HFS.sub(b"", name)
    if name in (b"", b".", b"..") or _DOTGIT.match(plain) or parent not in directories or path in seen:
        raise Unable(
            "git", f"the tree holds a name that no checkout may have: {path!r}", reason="unsafe", path=repr(path)
        )
    seen.add(path)


def _url(path: Path) -> str:
    from urllib.parse import quote

    return "file://" + quote(os.fsencode(path))
