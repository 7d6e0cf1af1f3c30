"""What COPY may take: files of the host put together as one tree, or the tree of a stage or an image."""

from __future__ import annotations

import io
import os
import posixpath
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, Final, NamedTuple

from warpforge.errors import Missing, Unable
from warpforge.polytope.dockerfile.ignoring import NAME, Ignoring, translate

_GLOB: Final = re.compile(r"[*?\[]")
_LINKS: Final = 40


class Node(NamedTuple):
    """``kind``: f, d or L. ``place``: the file of the host, unless there is ``data``."""

    kind: str
    mode: int
    place: str = ""
    link: str = ""
    data: bytes | None = None
    uid: int = 0
    gid: int = 0

    def read(self) -> bytes:
        """A file's content. Errors: ``io``."""
        if self.data is not None:
            return self.data
        with self.open() as file:
            return file.read()

    def size(self) -> int:
        """Bytes of a file. Errors: ``io``."""
        if self.data is not None:
            return len(self.data)
        try:
            return os.stat(self.place).st_size
        except OSError as error:
            raise _unreadable(self.place, error) from error

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """A file's content as a stream. Errors: ``io``, also of its reads."""
        if self.data is not None:
            yield io.BytesIO(self.data)
            return
        try:
            with open(self.place, "rb") as file:
                yield file
        except OSError as error:
            raise _unreadable(self.place, error) from error


class Files:
    """A tree: nodes by their paths, without a slash at either end; "" is its root."""

    def __init__(self, nodes: Mapping[str, Node], name: str) -> None:
        self.nodes = dict(nodes)
        self.name = name

    def find(self, pattern: str) -> list[str]:
        """The paths that a source of COPY means, symlinks of it followed within the tree. Errors: ``missing``."""
        plain = posixpath.normpath(f"/{pattern}").strip("/")
        if _GLOB.search(plain) and plain not in self.nodes:
            fits = re.compile(translate(plain), re.DOTALL).fullmatch
            found = sorted(path for path in self.nodes if path and fits(path))
        else:
            resolved = self.resolve(plain)
            found = [] if resolved is None else [resolved]
        if not found:
            raise Missing("missing", f"there is no {pattern} in {self.name}", path=pattern)
        return found

    def resolve(self, path: str, hops: int = _LINKS) -> str | None:
        """A path with all symlinks followed, inside of the tree; None where nothing is."""
        done: list[str] = []
        for part in path.split("/") if path else []:
            done.append(part)
            node = self.nodes.get("/".join(done))
            if node is None:
                return None
            if node.kind == "L":
                if not hops:
                    return None
                base = "/" if node.link.startswith("/") else "/" + "/".join(done[:-1])
                goal = self.resolve(posixpath.normpath(posixpath.join(base, node.link)).strip("/"), hops - 1)
                if goal is None:
                    return None
                done = goal.split("/") if goal else []
        return "/".join(done)

    def below(self, path: str) -> Iterator[tuple[str, Node]]:
        """What is in a directory at any depth, by its path from there."""
        prefix = f"{path}/" if path else ""
        for name, node in self.nodes.items():
            if name and name.startswith(prefix):
                yield name[len(prefix) :], node


def read_files(sources: Mapping[str, str | bytes], name: str) -> Files:
    """Put a tree together. ``sources``: a file or directory of the host, or a content, by its path in the tree.

    Errors: ``missing``, ``io``.
    """
    nodes: dict[str, Node] = {"": Node("d", 0o755)}
    for path, source in sources.items():
        inside = posixpath.normpath(f"/{path}").strip("/")
        if isinstance(source, bytes):
            nodes[inside] = Node("f", 0o644, data=source)
        else:
            nodes.update(_scan(source, inside))
        _add_parents(nodes, inside)
    return Files(nodes, name)


def leave_out(files: Files, dockerfile: str = "") -> Files:
    """The tree without what the ``.dockerignore`` at its root names, or one beside the Dockerfile that is called after
    it (``build.Dockerfile.dockerignore``). Errors: ``io``."""
    inside = posixpath.normpath(f"/{dockerfile}{NAME}").strip("/")
    rules = files.nodes.get(inside, files.nodes.get(NAME))
    if rules is None or rules.kind != "f":
        return files
    ignoring = Ignoring(rules.read().decode("utf-8", "replace"))
    nodes = {path: node for path, node in files.nodes.items() if not path or not ignoring.leaves_out(path)}
    for path in list(nodes):
        _add_parents(nodes, path)
    return Files(nodes, files.name)


def _add_parents(nodes: dict[str, Node], path: str) -> None:
    while path := posixpath.dirname(path):
        nodes.setdefault(path, Node("d", 0o755))


def _scan(source: str, inside: str) -> Iterator[tuple[str, Node]]:
    try:
        top = os.lstat(source)
    except OSError as error:
        raise Missing("missing", f"there is no {source} to build from", cause=error, path=source) from error
    waiting = [(source, inside, top)]
    while waiting:
        place, path, seen = waiting.pop()
        mode = stat.S_IMODE(seen.st_mode) & 0o777
        try:
            if stat.S_ISLNK(seen.st_mode) and place != source:
                yield path, Node("L", 0o777, link=os.readlink(place))
            elif stat.S_ISDIR(os.stat(place).st_mode if place == source else seen.st_mode):
                yield path, Node("d", mode)
                for entry in os.scandir(place):
                    waiting.append((entry.path, f"{path}/{entry.name}".lstrip("/"), entry.stat(follow_symlinks=False)))
            elif stat.S_ISREG(os.stat(place).st_mode if place == source else seen.st_mode):
                yield path, Node("f", mode, place)
        except OSError as error:
            raise _unreadable(place, error) from error


def _unreadable(path: str, error: OSError) -> Unable:
    return Unable("io", f"{path} cannot be read: {error.strerror}", cause=error, path=path)
