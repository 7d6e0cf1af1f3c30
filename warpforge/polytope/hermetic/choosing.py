"""Which containers are run as formulas: those that are said to be pure, those that are named, or all that can be.

Those that can be are pinned, give no services and reach nothing of the host that they could change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from msgspec.structs import replace

from warpforge.errors import Missing
from warpforge.model.atoms import WareId
from warpforge.polytope.calls.expand import Leaf
from warpforge.polytope.hermetic.purity import UNSAID, Impurity, list_impurities
from warpforge.polytope.hermetic.sources import Bases
from warpforge.polytope.spec import ContainerSpec, HostSource, RepoSource


class Choice(NamedTuple):
    """``every``: all that can be; ``names``: of steps and modules, which are taken at that word."""

    every: bool = False
    names: frozenset[str] = frozenset()

    def said(self, spec: ContainerSpec, names: Collection[str]) -> ContainerSpec:
        """The container, which has these names: said to be pure, if one of them is."""
        return replace(spec, is_pure=True) if self.names & {*names} else spec


class Judged(NamedTuple):
    """``why``: what keeps a container from being a formula; ``can_be``: it would be one if all that can be were."""

    why: tuple[Impurity, ...]
    can_be: bool = False


def judge(
    spec: ContainerSpec, image: WareId | None, find: Callable[[ContainerSpec], Bases], *, every: bool = False
) -> Judged:
    """``image``: what its name is pinned to; ``find``: what is at its mounts, asked only where it matters.

    Errors: ``missing`` for what is not there, of one that is said to be pure.
    """
    why = list_impurities(spec, image)
    others = tuple(one for one in why if one.reason != UNSAID)
    if others:
        return Judged(others if every else why)
    try:
        why += find(spec).impurities
    except Missing as error:
        if spec.is_pure:
            raise
        return Judged((*why, Impurity("missing", error.message)))
    if spec.is_pure or len(why) > 1:
        return Judged(why)
    effects = list_effects(spec)
    return Judged(effects if every else why, not effects)


def list_effects(spec: ContainerSpec) -> tuple[Impurity, ...]:
    """What may be missed of a container, if it is run as a formula and nobody said that nothing is."""
    changed = [
        mount.path
        for mount in spec.mounts
        if isinstance(mount.source, HostSource) or (isinstance(mount.source, RepoSource) and not mount.source.revision)
    ]
    text = "what it writes to {}, which this machine has, would be lost (hermetic: true says that nothing is missed)"
    return tuple(Impurity("effect", text.format(path)) for path in changed)


def names_of(leaf: Leaf, step: str) -> frozenset[str]:
    """What a container may be named by: its step, and every module on the way down to it."""
    return frozenset((step, *(name for level in leaf.levels for name in (level.reference, level.noun.id))))
