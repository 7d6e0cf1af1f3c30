"""Witness: tells when a reference means something else than when it was first used here.

``config/known.json`` of the root workspace says what then: ``{"known.v1": {"changed": "warn"}}``, or ``refuse``, or
``off``, with which nothing is remembered either. Catalogs of nearer workspaces are part of what is worked on, and not
watched; nor is what is read as of a snapshot.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warpforge.errors import Invalid
from warpforge.model.ident import release_id

if TYPE_CHECKING:
    from warpforge.catalog.lookup import Pin
    from warpforge.model.atoms import CatalogRef, WareId
    from warpforge.model.catalog import Release
    from warpforge.workspace.find import Stack

CONFIG: Final = "known.json"
WARN: Final = "warn"
REFUSE: Final = "refuse"
OFF: Final = "off"


class Witness:
    """Over the root of a stack. ``looks``: it only compares, and remembers nothing."""

    def __init__(self, stack: Stack, tell: Callable[[str], None], *, looks: bool = False) -> None:
        from warpforge.catalog.known import Known

        self._catalogs = stack.root.catalogs_dir
        self._known = Known(stack.root.internal)
        self._policy = read_policy(stack.root.config(CONFIG))
        self._looks = looks
        self._tell = tell
        self._told: set[CatalogRef] = set()

    def meet(self, pins: Iterable[Pin]) -> None:
        """Compare what references mean with what they meant, and remember new ones.

        Errors: ``catalog-invalid`` (changed).
        """
        if self._policy == OFF:
            return
        fresh: dict[CatalogRef, WareId] = {}
        changed: list[tuple[Pin, str]] = []
        for pin in pins:
            if pin.catalog.path.parent != self._catalogs or _is_past(pin):
                continue
            known = self._known.ware(pin.ref)
            if known is None:
                fresh[pin.ref] = pin.ware
            elif known != str(pin.ware):
                changed.append((pin, known))
        if changed:
            self._changed(changed)
        if fresh and not self._looks:
            self._known.remember(fresh)

    def pins(self, module: str, release: Release) -> dict[CatalogRef, WareId]:
        """What the references of a release's replay meant when it was right; nothing when nobody knows."""
        return {} if self._policy == OFF else self._known.pins(module, release_id(release))

    def remember_pins(self, module: str, release: Release, wares: Mapping[CatalogRef, WareId]) -> None:
        """A release's replay was run, with its references as these wares, and gave what the release says."""
        if self._policy != OFF and not self._looks:
            self._known.remember_pins(module, release_id(release), wares)

    def _changed(self, changed: list[tuple[Pin, str]]) -> None:
        lines = [f"{pin.ref} was {known} when it was first used here, and is {pin.ware} now" for pin, known in changed]
        if self._policy == REFUSE:
            listed = "".join(f"\n  {line}" for line in lines)
            raise Invalid(
                "catalog-invalid",
                f"references mean something else than before:{listed}\n"
                "ask who publishes them; `warpforge catalog known --forget REF` takes one as it is now",
                reason="changed",
                catalogRef=" ".join(str(pin.ref) for pin, _ in changed),
            )
        for (pin, _), line in zip(changed, lines, strict=True):
            if pin.ref not in self._told:
                self._told.add(pin.ref)
                self._tell(f"{line}; `warpforge catalog known --forget {pin.ref}` takes it as it is now")


def read_policy(path: Path) -> str:
    """What to do when a reference changed. Errors: ``catalog-invalid`` (form), ``serialization``, ``io``."""
    if not os.path.lexists(path):
        return WARN
    from warpforge.catalog.capsule import read_capsule
    from warpforge.engine.reach import read_config

    found = read_capsule(read_config(path) or b"{}", str(path), "known.v1", dict[str, str])
    policy = found.get("changed", WARN)
    if {*found} - {"changed"} or policy not in (WARN, REFUSE, OFF):
        raise Invalid(
            "catalog-invalid",
            f'{path}: "changed" is {WARN}, {REFUSE} or {OFF}, and nothing else is there',
            reason="form",
        )
    return policy


def _is_past(pin: Pin) -> bool:
    view = pin.catalog.view
    if view is None:
        return False
    from warpforge.catalog.view import PastView

    return isinstance(view, PastView)
