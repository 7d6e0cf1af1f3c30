"""Tries: maps from names to texts under one id, any part of which can be proved without the rest.

A trie is a function of its entries alone, however it came about. With D(name) = SHA-384 of the name's UTF-8 as hex:

``node(entries, depth)``
    at most 64 entries: the document ``{"entries": {name: text, ...}}``
    more: ``{"branch": {digit: id of node(those whose D(name)[depth] is digit, depth + 1), ...}}``

The id of a node is a document id (``model.ident``: SHA-384 of canonical dag-cbor), that of the trie the id of its first
node at depth 0. So finding one name among ten thousand reads three small nodes, and whoever knows the id needs to
believe none of them; two tries are compared without reading what they share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from warpforge.errors import Invalid
from warpforge.model.ident import digest, document_id

WIDTH: Final = 64  # entries of one node
_DEPTH: Final = 96  # digits of a hash

Node = dict[str, Any]
Read = Callable[[str], Node]  # the node with an id; it has that id


def build(entries: Mapping[str, str], put: Callable[[str, Node], None]) -> Node:
    """The first node of a trie; ``put`` is given every other one with its id."""
    digits = {name: _digits(name) for name in entries} if len(entries) > WIDTH else {}
    return _build(dict(entries), digits, 0, put)


def find(node: Node, name: str, read: Read) -> str | None:
    """What a name stands for. Errors: ``catalog-invalid``, and those of ``read``."""
    digits = _digits(name)
    for depth in range(_DEPTH):
        entries, branch = _parts(node)
        if branch is None:
            return entries.get(name)
        if digits[depth] not in branch:
            return None
        node = read(branch[digits[depth]])
    raise _formless()


def every(node: Node, read: Read) -> Iterator[tuple[str, str]]:
    """All entries, in the order of the trie. Errors: as ``find``."""
    waiting = [(node, 0)]
    while waiting:
        one, depth = waiting.pop()
        entries, branch = _parts(one)
        yield from entries.items()
        if branch is not None:
            waiting += [(read(branch[digit]), depth + 1) for digit in sorted(branch, reverse=True)]
            if depth > _DEPTH:
                raise _formless()


def changes(old: Node, new: Node, read: Read) -> Iterator[tuple[str, str | None, str | None]]:
    """Names with what they stood for and stand for; what both share is not read. Errors: as ``find``."""
    waiting: list[tuple[Node, Node]] = [(old, new)]
    while waiting:
        before, after = waiting.pop()
        (one, old_branch), (other, new_branch) = _parts(before), _parts(after)
        if old_branch is None or new_branch is None:
            one, other = dict(every(before, read)), dict(every(after, read))
            for name in sorted(one.keys() | other.keys()):
                if one.get(name) != other.get(name):
                    yield name, one.get(name), other.get(name)
            continue
        for digit in sorted(old_branch.keys() | new_branch.keys()):
            pair = old_branch.get(digit), new_branch.get(digit)
            if pair[0] != pair[1]:
                left, right = (read(one) if one else {"entries": {}} for one in pair)
                waiting.append((left, right))


def node_id(node: Node) -> str:
    """The id of a node."""
    return document_id(node)


def _build(entries: dict[str, str], digits: dict[str, str], depth: int, put: Callable[[str, Node], None]) -> Node:
    if len(entries) <= WIDTH:
        return {"entries": {name: entries[name] for name in sorted(entries)}}
    parts: dict[str, dict[str, str]] = {}
    for name, text in entries.items():
        parts.setdefault(digits[name][depth], {})[name] = text
    branch = {}
    for digit in sorted(parts):
        node = _build(parts[digit], digits, depth + 1, put)
        branch[digit] = node_id(node)
        put(branch[digit], node)
    return {"branch": branch}


def _parts(node: Node) -> tuple[dict[str, str], dict[str, str] | None]:
    """The entries of a node, and where others are; whoever made the ids may have signed nonsense."""
    branch = node.get("branch")
    entries = node.get("entries", {})
    for part in (entries, {} if branch is None else branch):
        if type(part) is not dict or any(type(text) is not str for text in part.values()):
            raise _formless()
    if len(entries) > WIDTH or (branch is None) == ("entries" not in node):
        raise _formless()
    return entries, branch


def _digits(name: str) -> str:
    return digest(name.encode())


def _formless() -> Invalid:
    return Invalid("catalog-invalid", "a snapshot of the catalog has a node that is none", reason="form")
