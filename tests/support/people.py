"""Calling a function as somebody else: the same test as root and as an ordinary user.

``Person.call(function, *arguments)`` runs a module-level function. For the one who runs the tests it is a plain call;
for the ordinary user (only when the tests run as root) it goes to a worker process that has become that user. Root's
interpreter may lie where nobody else can reach it (below /root): the worker's private mount namespace makes a way.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

USER_UID = 58123  # any uid that nobody has
T = TypeVar("T")
_LENGTH = struct.Struct("!I")


class Person:
    """Who runs something: ``name`` is "root" or "user"."""

    def __init__(self, name: str, uid: int) -> None:
        self.name = name
        self.uid = uid
        self._worker: subprocess.Popen[bytes] | None = None

    @property
    def is_caller(self) -> bool:
        """Whether that is who runs the tests."""
        return self.uid == os.geteuid()

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Run a module-level function as this person; what it raises is raised here."""
        if self.is_caller:
            return function(*arguments)
        worker = self._start()
        assert worker.stdin and worker.stdout
        write_message(worker.stdin, (function.__module__, function.__qualname__, arguments))
        raised, value = read_message(worker.stdout)
        if raised:
            raise value
        return value  # type: ignore[no-any-return]

    def popen(self, function: Callable[..., object], *arguments: object) -> subprocess.Popen[bytes]:
        """Start a process of its own that calls the function once, in its own session; stdout is a pipe."""
        job = pickle.dumps((function.__module__, function.__qualname__, arguments)).hex()
        return self._spawn("once", job, stdout=subprocess.PIPE)

    def _start(self) -> subprocess.Popen[bytes]:
        if self._worker is None:
            self._worker = self._spawn("serve", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self._worker

    def _spawn(self, *words: str, **pipes: int) -> subprocess.Popen[bytes]:
        become = [] if self.is_caller else [str(self.uid)]
        argv = [sys.executable, __file__, "become", *become, "--", *words]
        return subprocess.Popen(argv, env=_environment(), start_new_session=True, **pipes)  # type: ignore[call-overload,no-any-return]

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            assert self._worker.stdin and self._worker.stdout
            self._worker.stdin.close()
            self._worker.wait()
            self._worker.stdout.close()
            self._worker = None


def list_people() -> list[str]:
    """Whom the tests can be: root can be both."""
    return ["root", "user"] if os.geteuid() == 0 else ["user"]


def make_person(name: str) -> Person:
    """One of ``list_people``."""
    caller = os.geteuid()
    return Person(name, caller if (name == "root") == (caller == 0) else USER_UID)


def _environment() -> dict[str, str]:
    """The caller's, with this very import path."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def write_message(stream: BinaryIO | Any, value: object) -> None:
    """One pickled value."""
    data = pickle.dumps(value)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def read_message(stream: BinaryIO | Any) -> Any:
    """The next value; EOFError at the end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError("the other end is gone")
    return pickle.loads(stream.read(_LENGTH.unpack(head)[0]))


def _find(module: str, name: str) -> Callable[..., Any]:
    import importlib

    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


def _serve() -> None:
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            module, name, arguments = read_message(source)
        except EOFError:
            return
        try:
            answer = (False, _find(module, name)(*arguments))
        except Exception as error:
            answer = (True, error)
        write_message(sink, answer)


def _make_reachable(directories: set[str]) -> None:
    """Let everybody reach directories that lie below ones closed to them; only in this mount namespace."""
    from warpforge.sandbox.kernel import mount, move_mount, open_tree

    closed: set[Path] = set()
    held: dict[str, int] = {}
    for directory in sorted(directories):  # an outer one comes first, and brings the inner ones with it
        above = [p for p in reversed(Path(directory).parents) if not p.stat().st_mode & 0o001]
        if above and not any(directory.startswith(outer + "/") for outer in held):
            closed.add(above[0])
            held[directory] = open_tree(os.fsencode(directory))
    for path in closed:
        mount(b"tmpfs", os.fsencode(path), b"tmpfs", 0, b"mode=0755")
    for directory, tree in held.items():
        os.makedirs(directory, 0o755)
        move_mount(tree, os.fsencode(directory))
        os.close(tree)


def _become(uid: int) -> None:
    from warpforge.sandbox.kernel import CLONE_NEWNS, MS_PRIVATE, MS_REC, mount, unshare

    unshare(CLONE_NEWNS)
    mount(None, b"/", None, MS_REC | MS_PRIVATE)
    needed = {sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), *filter(None, sys.path)}
    _make_reachable({os.path.realpath(directory) for directory in needed if os.path.isdir(directory)})
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.environ["HOME"] = "/nonexistent"
    os.chdir("/")


def main(argv: list[str]) -> None:
    """``become [UID] -- WORD...``, then as that uid the words."""
    words = argv[argv.index("--") + 1 :]
    before = argv[: argv.index("--")]
    if len(before) > 1:
        _become(int(before[1]))
        os.execv(sys.executable, [sys.executable, __file__, "become", "--", *words])
    if words[0] == "serve":
        _serve()
    else:
        module, name, arguments = pickle.loads(bytes.fromhex(words[1]))
        _find(module, name)(*arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
