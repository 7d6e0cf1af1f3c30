"""Options: how a person wants things run, for everything over one stack of workspaces.

Each part of the engine gets the part of them that is its own: **recall**, how results that are known are regarded;
**wreckage**, what becomes of the boxes of failed actions; **acting**, how and where actions run; **sourcing**, where
wares and names may come from. What is left, is how the command runs its steps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

if TYPE_CHECKING:
    from pathlib import Path

    from warpforge.mirror.policy import Access
    from warpforge.model.conduct import SecretSource


KEPT: Final = 4  # boxes of failed actions, unless one says otherwise


class Recall(Struct, frozen=True):
    """``force`` past the memo. ``rebuild``: so, too, but what was made before is compared with, and stays remembered.
    ``forget``: what is run is not remembered.
    """

    force: bool = False
    rebuild: bool = False
    forget: bool = False

    @property
    def is_passed(self) -> bool:
        """Whether what is known is no answer."""
        return self.force or self.rebuild


class Wreckage(Struct, frozen=True):
    """``keep_failed``: how many boxes of failed actions are kept. ``resume`` scripts in such boxes, at the entry that
    failed or at ``resume_at``.
    """

    keep_failed: int = 0
    resume: bool = False
    resume_at: int | None = None


class Acting(Struct, frozen=True):
    """``sandbox``: the back-end's name, empty: as the workspace says. ``limits``: by name, over those of the workspace.
    ``secrets``: where values come from, over what the workspace says, paths in them beginning at ``directory``;
    ``variable`` looks into the environment for them. ``run_path``: where boxes work; they stay with ``keep_run_dir``.
    """

    sandbox: str = ""
    limits: Mapping[str, float] = {}
    secrets: Mapping[str, SecretSource] = {}
    variable: Callable[[str], str | None] = lambda _: None
    directory: Path | None = None
    run_path: Path | None = None
    keep_run_dir: bool = False


class Sourcing(Struct, frozen=True):
    """``warehouse``: a directory that stands in for it. ``access``: how mirrors are reached.
    ``offline``: nothing beyond this machine is asked.
    ``remake``: wares that are nowhere to be had are made again by the replays of their releases.
    ``max_unpacked``: bytes that an archive may unpack to before its id is verified; None: as the workspace says.
    ``hazards``: hazardous releases (MODULE:RELEASE) that may be used. ``catalog_at``: roots of snapshots at which
    catalogs are read.
    """

    warehouse: Path | None = None
    access: Callable[[], Access] | None = None
    offline: bool = False
    remake: bool = False
    max_unpacked: int | None = None
    hazards: Sequence[str] = ()
    catalog_at: Sequence[str] = ()


class Options(Struct, frozen=True):
    """How to run: ``jobs`` actions at once, ``keep_going`` after a failure, as far as can be, ``explain`` of each step
    why it runs. ``invocation``: the id of the command in the run log. With ``look`` nothing is written, so nothing can
    run.
    """

    jobs: int = len(os.sched_getaffinity(0))
    keep_going: bool = False
    explain: bool = False
    invocation: str = ""
    look: bool = False
    recall: Recall = Recall()
    wreckage: Wreckage = Wreckage()
    acting: Acting = Acting()
    sourcing: Sourcing = Sourcing()


def make_options(flags: Mapping[str, Any]) -> Options:
    """From flags by name, whichever part each belongs to; ``jobs`` of 0: as many as there are processors.

    Raises TypeError for a flag of no part.
    """
    parts: dict[str, Any] = {"recall": Recall, "wreckage": Wreckage, "acting": Acting, "sourcing": Sourcing}
    left = {name: value for name, value in flags.items() if name != "jobs" or value}
    for name, part in parts.items():
        parts[name] = part(**{field: left.pop(field) for field in part.__struct_fields__ if field in left})
    return Options(**left, **parts)
