"""One conversation of git with another place; it is ended when it stalls, takes too long or brings too much."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from warpforge.fsx.git import Bare

from .download import Watch
from .policy import Policy

_FAULTS: Final = ("fatal:", "error:", "ssh:", "remote: ", "Host key")  # how lines begin that tell what is wrong
_LOOK: Final = 0.25  # seconds between two looks at what has come
_TAIL: Final = 64 << 10  # bytes of stderr that are kept
_NAMES: Final = 64 << 20  # bytes of stdout, which is a list of names
# what git says (under LC_ALL=C), and what that means; the first that fits
_MEANINGS: Final = (
    ("unsafe", r"fsck|filename in tree entry|^error: object [0-9a-f]+: |disallowed|strange (?:host|path)"),
    ("absent", r"not our ref|couldn't find remote ref|no such ref"),
    (
        "net",
        r"unable to access|Could not resolve|Connection |timed out|hung up|early EOF|RPC failed|[Oo]peration too slow"
        r"|unexpected disconnect|Could not read from remote|unable to connect|unable to look up|Broken pipe",
    ),
)  # fmt: skip


class GitFailed(Exception):
    """A conversation without success. ``kind``: absent, net, size, unsafe, or refused for all that is none of these."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


def converse(
    bare: Bare,
    arguments: list[str],
    environment: Mapping[str, str],
    policy: Policy,
    moved: Callable[[int], None] = lambda done: None,
) -> bytes:
    """What git says on stdout; ``moved`` is told the bytes that came into the repository so far. Raises GitFailed."""
    watch = Watch(policy)
    before = bare.packed_bytes()  # before it is started: a small commit may be there sooner than we look again
    process = bare.start_guarded(*arguments, environment=environment)
    try:
        watch.begin(lambda: _end(process))
        heard = _Heard(bare, before, process, watch, policy, moved)
        heard.all()
        if process.wait():
            raise GitFailed("net", watch.why) if watch.why else _explain(bytes(heard.err))
        return bytes(heard.out)
    finally:
        watch.close()
        _end(process)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe
            pipe.close()


class _Heard:
    """What a process says until it closes both its outputs."""

    def __init__(
        self,
        bare: Bare,
        before: int,
        process: subprocess.Popen[bytes],
        watch: Watch,
        policy: Policy,
        moved: Callable[[int], None],
    ) -> None:
        assert process.stdout and process.stderr
        self.out, self.err = bytearray(), bytearray()
        self._pipes = {process.stdout.fileno(): self.out, process.stderr.fileno(): self.err}
        self._bare = bare
        self._watch = watch
        self._policy = policy
        self._moved = moved
        self._before = before
        self._size = 0

    def all(self) -> None:
        """Raises GitFailed (size)."""
        with selectors.DefaultSelector() as selector:
            for fd in self._pipes:
                selector.register(fd, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select(_LOOK):
                    if not self._take(key.fd):
                        selector.unregister(key.fd)
                self._look()

    def _take(self, fd: int) -> bool:
        piece = os.read(fd, 1 << 16)
        said = self._pipes[fd]
        said += piece
        if said is self.err:
            del said[:-_TAIL]
        elif len(said) > _NAMES:
            raise GitFailed("size", f"more than {_NAMES} bytes of names")
        # once a second git tells of what comes, or of what it waits for: that must do
        self._watch.saw(max(len(piece), self._policy.slowest))
        return bool(piece)

    def _look(self) -> None:
        size = self._bare.packed_bytes() - self._before
        if size > self._policy.largest:
            raise GitFailed("size", f"more than {self._policy.largest} bytes")
        if size > self._size:
            self._watch.saw(size - self._size)
            self._size = size
            self._moved(size)


def _end(process: subprocess.Popen[bytes]) -> None:
    """git and all that it started, while it has not been waited for: afterwards its number may be another's."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _explain(said: bytes) -> GitFailed:
    lines = [line.strip() for line in re.split(r"[\r\n]+", said.decode("utf-8", "replace"))]
    faults = [line for line in lines if line.startswith(_FAULTS) or "Permission denied" in line]
    text = "\n".join(faults)
    kind = next((kind for kind, pattern in _MEANINGS if re.search(pattern, text, re.MULTILINE)), "refused")
    telling = [line for line in faults if not line.startswith("remote: ")] or faults or lines or ["failed"]
    shown = "".join(c if c.isprintable() else "?" for c in telling[0].partition(": ")[2] or telling[0])
    return GitFailed(kind, f"git: {shown[:300]}")
