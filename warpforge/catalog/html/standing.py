"""The standing of a catalog: its newest signed snapshot, and whose signature is on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from warpforge.catalog.envelope import load_envelope
from warpforge.catalog.snapshot import PAYLOAD_TYPE, Snapshot, Snapshots, load_snapshot
from warpforge.errors import WarpforgeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warpforge.catalog.keys import PublicKey


class Standing(NamedTuple):
    """``signed``: ids of keys that the envelope names; ``believed``: those of trusted keys that did sign it."""

    snapshot: Snapshot
    signed: tuple[str, ...]
    believed: tuple[str, ...]


def read_standing(catalog: Path, keys: Sequence[PublicKey]) -> Standing | None:
    """What the catalog says of itself; None when it was never signed, or when nobody can read that."""
    snapshots = Snapshots(catalog)
    try:
        data = snapshots.head_data()
        if data is None:
            return None
        envelope = load_envelope(data, str(snapshots.path))
        if envelope.payload_type != PAYLOAD_TYPE:
            return None
        snapshot = load_snapshot(envelope.payload, str(snapshots.path))
        signed = tuple(one.keyid for one in envelope.signatures)
    except WarpforgeError:
        return None
    try:
        believed = tuple(sorted(key.id for key in envelope.signers(keys)))
    except WarpforgeError:
        believed = ()  # nothing here can verify: nobody is believed
    return Standing(snapshot, signed, believed)
