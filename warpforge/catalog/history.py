"""History: the snapshots of a catalog, newest first, each proved by the one after it."""

from __future__ import annotations

from collections.abc import Iterator

from warpforge.errors import Invalid, Missing

from .believe import prove
from .sign import read_head
from .snapshot import Snapshot, Snapshots

SHORTEST = 8  # characters by which a root may be named


def history(snapshots: Snapshots, head: Snapshot | None = None) -> Iterator[Snapshot]:
    """Every snapshot from the newest to the first. ``head``: one that is believed, else the newest that is there.

    Errors: ``catalog-invalid`` (log: one is missing, or is not the one that the next names).
    """
    newest = head or read_head(snapshots)[0]
    if newest is not None:
        yield from prove(newest, 0, "", snapshots)


def find_root(text: str, snapshots: Snapshots, head: Snapshot | None = None) -> Snapshot | None:
    """The newest snapshot with this root, or whose root or own id begins so. Errors: as ``history``; ``invalid``."""
    if len(text) < SHORTEST or not text.isalnum():
        raise Invalid("invalid-argument", f"{text!r} is no root, nor {SHORTEST} characters of one: see `catalog log`")
    found = [one for one in history(snapshots, head) if one.root.startswith(text) or one.id == text]
    if len({one.root for one in found}) > 1:
        raise Invalid("invalid-argument", f"more than one root begins with {text}: say more of it")
    return found[0] if found else None


def no_root(texts: list[str]) -> Missing:
    """No catalog ever was so."""
    return Missing(
        "catalog-missing-entry",
        f"no snapshot of the catalogs here has the root {', '.join(texts)}: see `catalog log`",
        reason="root",
        root=" ".join(texts),
    )
