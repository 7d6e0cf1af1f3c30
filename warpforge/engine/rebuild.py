"""Rebuild: what a formula gives again is compared with what it gave before.

What differs is kept beside each other in the quarantine, in a directory of its own with the packed wares (values as
text) as ``LABEL.first`` and ``LABEL.again``, whatever a garbage collection does to the warehouse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from warpforge.engine.compare import differences
from warpforge.errors import Failed, WarpforgeError
from warpforge.model.atoms import Literal, WareId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warpforge.engine.supply import Supply
    from warpforge.model.run import RunRecord
    from warpforge.store.store import Store

    Results = Mapping[str, WareId | Literal]

SHOWN: Final = 5  # differing files that a message names


def check_same(store: Store, supply: Supply, before: RunRecord, now: RunRecord) -> None:
    """Errors: ``ware-mismatch`` (rebuild), naming the files that differ; both results are kept."""
    differing = [label for label in now.results if before.results.get(label) != now.results[label]]
    if not differing:
        return
    lines = {label: tell(supply, before.results.get(label), now.results[label]) for label in differing}
    kept = keep_both(store, now.guid, before.results, now.results)
    label = differing[0]
    said = [f"{name}: {line}" for name, found in lines.items() for line in found]
    more = f"\n  and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    shown = "\n  ".join(said[:SHOWN])
    raise Failed(
        "ware-mismatch",
        f"built again, it gave something else:\n  {shown}{more}\n"
        f"both are kept in {kept}; what was first stays remembered: see `warpforge reproduce`",
        reason="rebuild",
        formulaID=now.formula_id,
        output=label,
        expected=before.results.get(label),
        actual=now.results[label],
        files="\n".join(said),
        kept=kept,
    )


def tell(supply: Supply, old: object, new: object) -> list[str]:
    """What differs between two results, a line for each file."""
    if isinstance(old, WareId) and isinstance(new, WareId):
        try:
            return [str(change) for change in differences(supply, old, new)]
        except WarpforgeError as error:
            return [f"{old} -> {new}; the files cannot be compared: {error.message}"]
    return [f"{old} -> {new}"]


def keep_both(store: Store, name: str, old: Results, new: Results) -> str:
    """Keep what differs between two results beside each other; gives the directory."""
    pairs = {label: (old.get(label), new[label]) for label in new if old.get(label) != new[label]}
    names = {f"{label}.first": pair[0] for label, pair in pairs.items()}
    names |= {f"{label}.again": pair[1] for label, pair in pairs.items()}
    return store.keep_beside(f"differs-{name}", names)
