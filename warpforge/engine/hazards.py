"""Hazards: releases that their publishers warn of, and which of them a person or a workspace allows by name.

A release is marked by the metadata key ``hazard``, whose value says why. ``config/hazards.json`` of each workspace in
the stack holds ``{"hazards.v1": ["MODULE:RELEASE", ...]}``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from warpforge.catalog.capsule import read_capsule
from warpforge.engine.reach import read_config
from warpforge.errors import Invalid

if TYPE_CHECKING:
    from warpforge.catalog.lookup import Pin
    from warpforge.workspace.find import Stack

FILE: Final = "hazards.json"


def hazards_of(pins: Iterable[Pin]) -> dict[str, str]:
    """Why each hazardous release among some pins is one, by ``MODULE:RELEASE``."""
    found = {}
    for pin in pins:
        if (text := pin.release.hazard) is not None:
            found[f"{pin.ref.module}:{pin.ref.release}"] = text
    return found


def allowed_hazards(stack: Stack, said: Iterable[str]) -> frozenset[str]:
    """``said``: of a person, for this command. Errors: ``catalog-invalid`` (form), ``serialization``, ``io``."""
    found = {*said}
    for workspace in stack:
        path = workspace.config(FILE)
        data = read_config(path)
        if data is not None:
            found.update(read_capsule(data, str(path), "hazards.v1", list[str]))
    return frozenset(found)


def refuse_hazards(pins: Iterable[Pin], allowed: Callable[[], frozenset[str]]) -> None:
    """Errors: ``catalog-invalid`` (hazard) when any of these is hazardous and not allowed; as ``allowed``."""
    found = hazards_of(pins)
    refused = {name: text for name, text in found.items() if name not in allowed()}
    if refused:
        raise refusal(refused)


def refusal(hazards: Mapping[str, str]) -> Invalid:
    """All of them at once."""
    lines = "".join(f"\n  {name}: {text or 'it does not say why'}" for name, text in hazards.items())
    options = " ".join(f"--allow-hazard {name}" for name in hazards)
    return Invalid(
        "catalog-invalid",
        f"what is used here is marked as hazardous by who published it:{lines}\n"
        f"use another release; to use it all the same, say {options}",
        reason="hazard",
        catalogRef=" ".join(hazards),
        hazard="\n".join(f"{name}: {text}" for name, text in hazards.items()),
    )
