"""Verdicts that are kept: in a workspace, where every replay leaves them, and in a catalog, where they are published.

Below a directory (a catalog, or the ``verdicts`` of a workspace) as ``MODULE/_verdicts/RELEASE/``:

    verdicts.json    a document ``verdicts.v1``: the last verdict of each item, as whoever wrote it here says
    NAME.dsse        the same document (its very bytes are the payload), signed, in an envelope of
                     https://github.com/secure-systems-lab/dsse; NAME is the first key's id

Nothing here is part of any id: a verdict is what somebody saw, and only a signature says who.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from warpforge.errors import WarpforgeError, store_error
from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.model.plaintext import SIZE_LIMIT
from warpforge.model.serial import dump, load_verdicts
from warpforge.model.verdict import ReleaseVerdicts

from .envelope import Envelope, dump_envelope, load_envelope
from .tree import VERDICTS_DIR

PLAIN: Final = "verdicts.json"
SIGNED: Final = ".dsse"
PAYLOAD: Final = "application/vnd.warpforge.verdicts+json"


class Found(NamedTuple):
    """A document that is kept. ``envelope``: what it came in, whose signatures nobody has verified yet, or None."""

    path: str
    verdicts: ReleaseVerdicts
    envelope: Envelope | None = None


def verdicts_dir(top: Path, module: str, release: str) -> str:
    """Where the verdicts of a release are kept below a directory."""
    return "/".join((os.fspath(top), module, VERDICTS_DIR, release))


def keep_verdicts(top: Path, verdicts: ReleaseVerdicts, *, sync: bool = False) -> Path:
    """Write what a replay gave; items that it did not build keep what was said of them of the same form of the release.

    ``sync``: a power cut leaves it there. One writer at a time: the caller holds a lock. Errors: ``store``.
    """
    directory = verdicts_dir(top, verdicts.module, verdicts.release)
    known = _plain(f"{directory}/{PLAIN}")
    if known is not None and known.release_id == verdicts.release_id and known.replay == verdicts.replay:
        verdicts = msgspec.structs.replace(verdicts, items={**known.items, **verdicts.items})
    try:
        make_dirs(directory, sync=sync)
        write_atomic(f"{directory}/{PLAIN}", dump(verdicts), sync=sync)
    except OSError as error:
        raise store_error(error, f"cannot keep the verdicts of {verdicts.module}:{verdicts.release}") from error
    return Path(directory, PLAIN)


def keep_signed(top: Path, verdicts: ReleaseVerdicts, envelope: Envelope) -> Path:
    """Write a signed document, in place of what its first key signed before. Errors: ``store``."""
    directory = verdicts_dir(top, verdicts.module, verdicts.release)
    path = f"{directory}/{envelope.signatures[0].keyid}{SIGNED}"
    try:
        make_dirs(directory)
        write_atomic(path, dump_envelope(envelope))
    except OSError as error:
        raise store_error(error, f"cannot keep the verdicts of {verdicts.module}:{verdicts.release}") from error
    return Path(path)


def find_verdicts(top: Path, module: str, release: str) -> Iterator[Found]:
    """What is kept of a release: the plain document first, then the signed ones by name. What is not right is no word.

    A document that speaks of another release is left out; whether it is of the release's present form, see release_id.
    """
    directory = verdicts_dir(top, module, release)
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in sorted(names, key=lambda name: name != PLAIN):
        path = f"{directory}/{name}"
        envelope = _envelope(path) if name.endswith(SIGNED) else None
        if name == PLAIN:
            verdicts = _plain(path)
        else:
            verdicts = _read(envelope.payload, path) if envelope and envelope.payload_type == PAYLOAD else None
        if verdicts is not None and (verdicts.module, verdicts.release) == (module, release):
            yield Found(path, verdicts, envelope)


def _plain(path: str) -> ReleaseVerdicts | None:
    data = _bytes(path)
    return None if data is None else _read(data, path)


def _read(data: bytes, path: str) -> ReleaseVerdicts | None:
    try:
        return load_verdicts(data, path).noun
    except WarpforgeError:
        return None


def _envelope(path: str) -> Envelope | None:
    data = _bytes(path)
    try:
        return None if data is None else load_envelope(data, path)
    except WarpforgeError:
        return None


def _bytes(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError:
        return None
    return data if len(data) <= SIZE_LIMIT else None
