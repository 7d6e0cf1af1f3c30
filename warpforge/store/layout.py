"""Which file of a store is where: pure names."""

from __future__ import annotations

import os
from typing import Final

from warpforge.model.atoms import WareId

FORMAT: Final = 1  # of the files below; another number is another program's store


_MARKS: Final = str.maketrans("", "", "._+-")


def sharded(hash_: str) -> str:
    """``abc/def/abcdef...``; short hashes are filled up, so that every level has a name."""
    return f"{hash_[:3].ljust(3, '-')}/{hash_[3:6].ljust(3, '-')}/{hash_}"


def is_storable(ware: WareId) -> bool:
    """Whether a ware can lie in a store: ``tar:-`` never exists, and no hash may be a name of the file system."""
    return ware.hash not in ("-", ".", "..") and ware.packtype not in ("", ".", "..")


def file_name(text: str) -> str:
    """A text as one file name: itself when it is harmless and short, else its digest."""
    if len(text) <= 200 and text[:1] not in ("", ".") and text.isascii():
        letters = text.translate(_MARKS)  # a plot asks thousands of times: no loop over characters
        if not letters or letters.isalnum():
            return text
    from hashlib import sha256

    return "sha256-" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Layout:
    """The names below a workspace's internal directory. ``warehouse`` stands elsewhere when it is replaced."""

    __slots__ = (
        "cache",
        "duals",
        "failed",
        "format",
        "images",
        "index",
        "internal",
        "layers",
        "locks",
        "memos",
        "origins",
        "partial",
        "pins",
        "quarantine",
        "roots",
        "runs",
        "tmp",
    )

    def __init__(self, internal: str) -> None:
        self.internal = internal
        self.format = f"{internal}/format"
        self.memos = f"{internal}/memos"
        self.duals = f"{internal}/duals"
        self.origins = f"{internal}/origins"
        self.images = f"{internal}/images"
        self.layers = f"{internal}/layers"
        self.runs = f"{internal}/runs"
        self.failed = f"{internal}/failed"
        self.cache = f"{internal}/cache"
        self.index = f"{internal}/index.lmdb"
        self.locks = f"{internal}/locks"
        self.partial = f"{internal}/partial"
        self.pins = f"{internal}/pins"
        self.roots = f"{internal}/roots"
        self.tmp = f"{internal}/tmp"
        self.quarantine = f"{internal}/quarantine"

    def dual(self, ware: WareId) -> str:
        """The file of a dual id."""
        return f"{self.duals}/{ware.packtype}/{sharded(ware.hash)}"

    def origin(self, ware: WareId) -> str:
        """The file of an origin."""
        return f"{self.origins}/{ware.packtype}/{sharded(ware.hash)}"

    def image(self, ware: WareId) -> str:
        """The file of what an image says."""
        return f"{self.images}/{sharded(ware.hash)}"

    def layer(self, digest: str) -> str:
        """The file of a layer, by its sha256 digest."""
        return f"{self.layers}/{sharded(digest.partition(':')[2])}"

    def memo(self, formula_id: str) -> str:
        """The file of a RunRecord."""
        return f"{self.memos}/{file_name(formula_id)}.json"

    def tree(self, ware: WareId, filters_key: str) -> str:
        """The unpacked tree of a ware; filtered trees have a place of their own."""
        return f"{self._shelf(ware, filters_key, 'fileset')}/{sharded(ware.hash)}"

    def stamp(self, ware: WareId, filters_key: str) -> str:
        """The stamp of an unpacked tree: beside it, never in it."""
        return f"{self._shelf(ware, filters_key, 'stamp')}/{sharded(ware.hash)}"

    def lock(self, kind: str, key: str) -> str:
        """The lock file of one thing."""
        return f"{self.locks}/{file_name(f'{kind}-{key}'.replace(':', '-'))}"

    def _shelf(self, ware: WareId, filters_key: str, kind: str) -> str:
        if not filters_key:
            return f"{self.cache}/{ware.packtype}/{kind}"
        return f"{self.cache}/{ware.packtype}/{kind}-filtered/{file_name(filters_key)}"


def packed(warehouse: str, ware: WareId) -> str:
    """The file of a packed ware: ``tar`` directly below the warehouse as the original has it, others by packtype."""
    if ware.packtype == "tar":
        return f"{warehouse}/{sharded(ware.hash)}"
    return f"{warehouse}/{ware.packtype}/{sharded(ware.hash)}"


def is_inside(path: str, directory: str) -> bool:
    """Whether a path lies below a directory, by name alone."""
    return os.path.commonpath((os.path.abspath(path), os.path.abspath(directory))) == os.path.abspath(directory)
