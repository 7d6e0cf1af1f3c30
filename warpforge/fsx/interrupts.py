"""Where an interrupt is raised, and where it has to wait.

A signal can come between any two steps of the main thread. Raised there, a KeyboardInterrupt tears apart what belongs
together: a thread runs and nobody knows it, a lock is taken and never given back, half of what was begun is put away.
So whoever handles the signal looks first at what is being done: it waits while something is begun and noted down
(``whole``), and while things are put away (``__exit__``, ``__del__``, a ``finally``, an ``except BaseException``).
All this costs nothing until a signal comes; the blocks are then found in the source.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

from .whole import MARKED

_ONLY_PARSED: Final = 0x400  # PyCF_ONLY_AST; the module ``ast`` is not needed, and might just be being loaded
_PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LENT: Final = ("threading.py", "queue.py", "contextlib.py", "subprocess.py", "socketserver.py")  # looked into, too
_PUTTING_AWAY: Final = ("__exit__", "__del__")
_WHOLE: Final = {
    ("threading.py", "start"),
    ("subprocess.py", "__init__"),
    ("<frozen importlib._bootstrap>", "__enter__"),
}
# they have taken it already when they are where they can be interrupted
_TAKING: Final = {("threading.py", "__enter__"), ("contextlib.py", "__enter__")}
_WAITING: Final = {("locks.py", "_wait")}  # for somebody else, perhaps for long: what is not had yet is not torn

_blocks: Final[dict[str, list[range]]] = {}


def may_interrupt(frame: FrameType | None) -> bool:
    """Whether a KeyboardInterrupt may be raised in this frame of the main thread."""
    if frame is not None and _name(frame) in _TAKING:
        return False
    while frame is not None:
        code = frame.f_code
        if _name(frame) in _WAITING:
            return True
        if code in MARKED or code.co_name in _PUTTING_AWAY or _name(frame) in _WHOLE:
            return False
        if any(frame.f_lineno in lines for lines in _find_blocks(code.co_filename)):
            return False
        frame = frame.f_back
    return True


def _name(frame: FrameType) -> tuple[str, str]:
    return os.path.basename(frame.f_code.co_filename), frame.f_code.co_name


def _find_blocks(path: str) -> list[range]:
    """The lines of a file in which things are put away; none where the source cannot be had."""
    if not path.startswith(_PACKAGE) and os.path.basename(path) not in _LENT:
        return []
    if path not in _blocks:
        try:
            with open(path, "rb") as file:
                _blocks[path] = [*_walk(compile(file.read(), path, "exec", _ONLY_PARSED))]
        except (OSError, SyntaxError, ValueError):
            _blocks[path] = []
    return _blocks[path]


def _walk(tree: Any) -> Iterator[range]:
    left = [tree]
    while left:
        node = left.pop()
        kind = type(node).__name__
        if kind in ("Try", "TryStar"):
            if node.finalbody:
                yield _lines(node.finalbody)
            yield from (_lines(handler.body) for handler in node.handlers if _catches_all(handler))
        for field in getattr(node, "_fields", ()):
            value = getattr(node, field)
            left += value if isinstance(value, list) else [value]


def _catches_all(handler: Any) -> bool:
    return handler.type is None or getattr(handler.type, "id", "") == "BaseException"


def _lines(body: list[Any]) -> range:
    return range(body[0].lineno, body[-1].end_lineno + 1)
