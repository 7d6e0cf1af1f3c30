"""Trees in memory, at random, on disk, and as the entries that a packer takes."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from warpforge.fsx.tree import Entry, sort_key

from .reference import Node

if TYPE_CHECKING:
    from warpforge.fsx.tree import Content

NAMES: tuple[bytes, ...] = (
    b"a",
    b"a-b",
    b"a.b",
    b"a0",
    b"A",
    b"new\nline",
    b"\xff\xfe",
    "é".encode(),
    "e\u0301".encode(),
    b"x" * 200,
)
NAMES += (b"-rf", b"sp ace", b"\x1b[31m", "\u202e".encode(), b"long" * 30, b"back\\slash", b"~")
# closed to everybody; but only root can read what its own owner may not
CLOSED_FILE, CLOSED_DIRECTORY = (0o000, 0o000) if os.geteuid() == 0 else (0o400, 0o500)


def random_tree(rng: random.Random, *, owners: bool = True) -> Node:
    """A directory with up to some dozens of nodes of every kind that a ware may hold."""
    root = _attributes(rng, Node("d", rng.choice((0o755, 0o700, 0o555))), owners=owners)
    directories = [root]
    for _ in range(rng.randrange(40)):
        parent = rng.choice(directories)
        name = rng.choice(NAMES) + (b"%d" % rng.randrange(50) if rng.random() < 0.7 else b"")
        if name in parent.children:
            continue
        node = _attributes(rng, _random_node(rng), owners=owners)
        parent.children[name] = node
        if node.kind == "d":
            directories.append(node)
    return root


def _random_node(rng: random.Random) -> Node:
    draw = rng.random()
    if draw < 0.55:
        size = rng.choice((0, 1, 511, 512, 513, rng.randrange(5000)))
        return Node("f", rng.choice((0o644, 0o755, 0o600, 0o1755, CLOSED_FILE)), content=rng.randbytes(size))
    if draw < 0.8:
        return Node("d", rng.choice((0o755, 0o700, 0o1777, CLOSED_DIRECTORY)))
    if draw < 0.95:
        return Node("L", 0o777, link=rng.choice((b"a", b"../x", b"/etc/passwd", b"nowhere\n", b"y" * 300)))
    return Node("p", 0o644)


def _attributes(rng: random.Random, node: Node, *, owners: bool) -> Node:
    node.mtime = rng.choice((0, 1, 1262304000, 2147483648, 8589934592, -1, rng.randrange(1 << 32)))
    if owners:
        node.uid, node.gid = (rng.choice((0, 1000, 2097152, 4294967294)) for _ in range(2))
    return node


def list_entries(node: Node, path: bytes = b"") -> list[tuple[Entry, Content | None]]:
    """The tree as entries with contents, in canonical order."""
    return sorted(_list(node, path), key=lambda pair: sort_key(pair[0]))


def _list(node: Node, path: bytes) -> Iterator[tuple[Entry, Content | None]]:
    attributes = (node.mode, node.uid, node.gid, node.mtime, node.mtime_ns, len(node.content), node.link, node.device)
    yield Entry(path, node.kind, *attributes), io.BytesIO(node.content) if node.kind == "f" else None
    for name, child in node.children.items():
        yield from _list(child, path + b"/" + name if path else name)


def write_tree(node: Node, path: bytes) -> None:
    """The tree on disk; owners are left alone."""
    if node.kind == "d":
        os.mkdir(path)
        for name, child in node.children.items():
            write_tree(child, path + b"/" + name)
    elif node.kind == "L":
        os.symlink(node.link, path)
    elif node.kind == "p":
        os.mkfifo(path)
    else:
        with open(path, "wb") as file:
            file.write(node.content)
    if node.kind != "L":
        os.chmod(path, node.mode)
    os.utime(path, (node.mtime, node.mtime), follow_symlinks=False)


def open_dir(path: Path | str | bytes) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
