"""The index: what is costly to find out again, in LMDB. Derived: nothing is believed because it is written here.

Sizes of wares (also of those that are gone), the last run of a formula, and the ingest cache. Writes are kept back and
go out in one transaction (at close, or when many wait), so a command that only reads never asks for the writer's lock.
A file that is damaged, torn or of another version is set aside, begun anew and filled from the files, without a word.
Trouble with the index is a finding and never an error: the files it describes are still there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, TypeVar
from zlib import crc32

from warpforge.errors import WarpforgeError
from warpforge.model.atoms import WareId

from .facts import WareFacts
from .finding import Finding, Findings
from .index_file import IndexFile, is_harmless, release, share
from .layout import Layout

T = TypeVar("T")

_MANY: Final = 512  # waiting writes that are worth a transaction
_LONGEST_KEY: Final = 500  # LMDB's own limit is 511 bytes


class Index:
    """Keys ``w:<ware>``, ``s:<ware>``, ``f:<formula>``, ``i:<sha256 of path>``; values: a checksum and JSON.

    Threads may share one.

    ``fill`` puts what can be known from the files into an index that was begun anew; it gives the number of wares.
    """

    def __init__(self, layout: Layout, findings: Findings, fill: Callable[[], int]) -> None:
        self._layout = layout
        self._findings = findings
        self._fill = fill
        self._filling = False
        self._waiting: dict[bytes, bytes | None] = {}
        self._mutex = threading.RLock()
        self._file: IndexFile | None = None

    def ware(self, ware: WareId) -> WareFacts | None:
        """What was seen when this ware was stored."""
        return self._get(_ware_key(ware), lambda value: WareFacts(*value))

    def put_ware(self, ware: WareId, facts: WareFacts) -> None:
        """Note a stored ware."""
        self._put(_ware_key(ware), list(facts))

    def forget_ware(self, ware: WareId) -> None:
        """A ware is no longer in the warehouse; how large it was is still known."""
        if size := self.size(ware):
            self._put(_size_key(ware), size)
        self._put(_ware_key(ware), None)

    def size(self, ware: WareId) -> int | None:
        """The packed bytes of a ware that is here, or was."""
        facts = self.ware(ware)
        return (facts.packed_bytes if facts else None) or self._get(_size_key(ware), int)

    def forget_sizes(self, most: int) -> None:
        """Of wares that are gone, the sizes of so many stay."""
        for key, _ in (self._guarded(lambda file: file.scan(b"s:")) or ())[most:]:
            self._put(key, None)

    def reindex(self) -> int:
        """Begin anew, and fill it from the files; sizes of wares that are gone stay. Gives the number of wares."""
        known: dict[bytes, int] = {_size_key(ware): facts.packed_bytes for ware, facts in self.wares()}
        for key, raw in self._guarded(lambda file: file.scan(b"s:")) or ():
            with suppress(ValueError, TypeError):
                known[key] = int(_decode(key, raw))
        count = self.refill()
        for key, size in known.items():
            if size and self.ware(WareId.parse(key[2:].decode())) is None:
                self._put(key, size)
        self.flush()
        return count

    def wares(self) -> Iterator[tuple[WareId, WareFacts]]:
        """Every ware that is noted, sorted."""
        self.flush()
        for _ in range(2):  # once more, when what was found is damaged and had to be begun anew
            rows = self._guarded(lambda file: file.scan(b"w:")) or ()
            try:
                yield from [(WareId.parse(key[2:].decode()), WareFacts(*_decode(key, raw))) for key, raw in rows]
                return
            except (ValueError, TypeError):
                self.refill()

    def last_run(self, formula_id: str) -> str | None:
        """The id of the last run of a formula."""
        return self._get(b"f:" + formula_id.encode(), str)

    def put_last_run(self, formula_id: str, run_id: str) -> None:
        """Note the last run of a formula."""
        self._put(b"f:" + formula_id.encode(), run_id)

    def ingest_get(self, path: str | bytes, signature: bytes) -> WareId | None:
        """The ware that this path was, if its stat signature is still the same."""
        known = self._get(_ingest_key(path), lambda value: (str(value[0]), WareId.parse(value[1])))
        return known[1] if known and known[0] == signature.hex() else None

    def ingest_put(self, path: str | bytes, signature: bytes, ware: WareId) -> None:
        """Note what a path was ingested as. ``signature``: bytes that differ whenever the tree may differ."""
        self._put(_ingest_key(path), [signature.hex(), str(ware)])

    def flush(self) -> None:
        """Write what waits, in one transaction."""
        with self._mutex:
            waiting, self._waiting = self._waiting, {}
            if waiting:
                self._guarded(lambda file: file.write(waiting))

    def refill(self) -> int:
        """Set the index aside and fill it from the files; gives the number of wares. Ingests are forgotten."""
        with self._mutex:
            self._waiting.clear()
            self._guarded(lambda file: file.begin_anew())
            return self._fill_once()

    def _fill_once(self) -> int:
        if self._filling:
            return 0
        self._filling = True
        try:
            with suppress(OSError, WarpforgeError):  # it is an index: what cannot be read is not in it
                return self._fill()
            return 0
        finally:
            self._filling = False

    def close(self) -> None:
        """Write what waits and let go; may be called again, and the index may be used again."""
        with self._mutex:
            self.flush()
            file, self._file = self._file, None
            if file is not None:
                release(file)

    def _get(self, key: bytes, read: Callable[[Any], T]) -> T | None:
        with self._mutex:
            if key in self._waiting:
                raw = self._waiting[key]
            else:
                raw = self._guarded(lambda file: file.get(key)) if len(key) <= _LONGEST_KEY else None
            try:
                return None if raw is None else read(_decode(key, raw))
            except (ValueError, TypeError, LookupError):
                self.refill()
                return None

    def _put(self, key: bytes, value: Any) -> None:
        if len(key) > _LONGEST_KEY:
            return
        with self._mutex:
            self._waiting[key] = None if value is None else _encode(key, value)
            if len(self._waiting) >= _MANY:
                self.flush()

    def _guarded(self, work: Callable[[IndexFile], T]) -> T | None:
        import lmdb

        if self._file is None:
            layout = self._layout
            self._file = share(layout.index, layout.lock("index", "writer"), layout.quarantine)
        try:
            done = work(self._file)
            if not self._file.fresh or self._filling:
                return done
            self._file.fresh = False
            self._fill_once()
            return work(self._file)
        except (OSError, MemoryError, lmdb.Error) as error:
            if not is_harmless(error):
                message = f"the index cannot be used ({error}); nothing but time is lost"
                self._findings.add(Finding("index", "index", "store", "io", message, self._layout.index))
            return None


def _ware_key(ware: WareId) -> bytes:
    return f"w:{ware}".encode()


def _size_key(ware: WareId) -> bytes:
    return f"s:{ware}".encode()


def _ingest_key(path: str | bytes) -> bytes:
    from hashlib import sha256

    return b"i:" + sha256(os.fsencode(path)).digest()


def _encode(key: bytes, value: Any) -> bytes:
    import msgspec

    text = msgspec.json.encode(value)
    return crc32(text, crc32(key)).to_bytes(4, "little") + text


def _decode(key: bytes, raw: bytes) -> Any:
    """Raises ValueError for what is not as it was written."""
    import msgspec

    if crc32(raw[4:], crc32(key)).to_bytes(4, "little") != raw[:4]:
        raise ValueError(key)
    return msgspec.json.decode(raw[4:])
