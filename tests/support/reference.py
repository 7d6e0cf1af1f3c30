"""The ids once more, naively: written from the published format alone, sharing no line with the product.

A tree is ``Node``s in memory. Everything is recursive and slow on purpose: it is meant to be read and believed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import blake3

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass
class Node:
    """One entry of a tree: ``kind`` is one of f d L p D c s."""

    kind: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 1262304000
    mtime_ns: int = 0
    content: bytes = b""
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    children: dict[bytes, Node] = field(default_factory=dict)


def base58(data: bytes) -> str:
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = ALPHABET[digit] + digits
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + digits


def head(major: int, value: int) -> bytes:
    for width, mark in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if value < 24:
            return bytes([major << 5 | value])
        if value < 256**width:
            return bytes([major << 5 | mark]) + value.to_bytes(width, "big")
    raise OverflowError(value)


def integer(value: int) -> bytes:
    return head(0, value) if value >= 0 else head(1, -1 - value)


def text(value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return head(3, len(raw)) + raw


def cbor(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return integer(value)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(cbor(item) for item in value)
    keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
    return head(5, len(keys)) + b"".join(text(key) + cbor(value[key]) for key in keys)


def document_id(value: Any) -> str:
    """The id of a document given as plain JSON values (the object under the capsule key)."""
    return "z" + base58(b"\x01\x71\x20\x30" + hashlib.sha384(cbor(value)).digest())


def tree_hash(tree: Node, packtype: str) -> str:
    """The hash part of the WareId that the tree has as a ``tar``, ``zip`` or ``ztar``."""
    if packtype == "ztar":
        return base58(_node(tree, b".", lambda data: blake3.blake3(data).digest(), everything=True))
    return base58(_node(tree, b".", lambda data: hashlib.sha384(data).digest(), everything=False))


def _node(node: Node, name: bytes, digest: Any, *, everything: bool) -> bytes:
    members = [("n", text(name)), ("t", text(node.kind)), ("p", integer(node.mode & 0o7777))]
    members += [("u", integer(node.uid)), ("g", integer(node.gid))]
    members += [("l", text(node.link))] if node.kind == "L" else []
    members += [("dM", integer(node.device[0])), ("dm", integer(node.device[1]))] if node.kind in "Dc" else []
    members += [("m", integer(node.mtime)), ("mn", integer(node.mtime_ns))]
    if node.xattrs:
        pairs = b"".join(text(key) + text(node.xattrs[key]) for key in sorted(node.xattrs))
        members += [("x", head(5, len(node.xattrs)) + pairs)]
    meta = text("m") + head(5, len(members)) + b"".join(text(key) + value for key, value in members)
    if node.kind == "f":
        content = digest(node.content)
        return bytes(digest(b"\xa2" + meta + text("h") + head(2, len(content)) + content))
    if node.kind != "d":
        return bytes(digest(b"\xa1" + meta))
    listed = b""
    for child in sorted(node.children, key=lambda key: key + (b"/" if node.children[key].kind == "d" else b"")):
        if everything or node.children[child].kind in "fd":
            inner = _node(node.children[child], child, digest, everything=everything)
            listed += head(2, len(inner)) + inner
    return bytes(digest(b"\xa2" + meta + text("l") + b"\x9f" + listed + b"\xff"))
