"""Options: how a person wants things run, for everything over one stack of workspaces."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from warpforge.mirror.policy import Access
    from warpforge.model.conduct import SecretSource
    from warpforge.model.limits import Limits


class Options:
    """How to run: ``jobs`` boxes at once, ``force`` past the memo, where boxes work, whose warehouse, which access,
    and ``invocation``, the id of the command in the run log; with ``look`` nothing is written, so nothing can run.
    ``keep_going`` after a failure, as far as can be; ``keep_failed``: how many boxes of failed actions are kept.
    ``forget``: what is run is not remembered.
    ``rebuild``: as force, but what was made before is compared with, and stays remembered.
    ``resume`` scripts in such boxes, at the entry that failed or at ``resume_at``.
    ``remake``: wares that are nowhere to be had are made again by the replays of their releases.
    ``offline``: nothing beyond this machine is asked.

    ``sandbox``: the back-end's name, empty: as the workspace says. ``limits``: by name, over those of the workspace.
    ``secrets``: where values come from, over what the workspace says; ``variable`` looks into the environment for them.
    ``max_unpacked``: bytes that an archive may unpack to before its id is verified; None: as the workspace says.
    ``hazards``: hazardous releases (MODULE:RELEASE) that may be used.
    ``catalog_at``: roots of snapshots at which catalogs are read.
    ``explain`` tells of each step why it runs.
    """

    def __init__(
        self,
        *,
        jobs: int = 0,
        force: bool = False,
        forget: bool = False,
        rebuild: bool = False,
        warehouse: Path | None = None,
        run_path: Path | None = None,
        keep_run_dir: bool = False,
        keep_going: bool = False,
        keep_failed: int = 0,
        resume: bool = False,
        resume_at: int | None = None,
        access: Callable[[], Access] | None = None,
        invocation: str = "",
        look: bool = False,
        remake: bool = False,
        offline: bool = False,
        max_unpacked: int | None = None,
        explain: bool = False,
        hazards: Sequence[str] = (),
        catalog_at: Sequence[str] = (),
        sandbox: str = "",
        limits: Limits | None = None,
        secrets: Mapping[str, SecretSource] | None = None,
        variable: Callable[[str], str | None] = lambda _: None,
        directory: Path | None = None,
    ) -> None:
        self.jobs = jobs or len(os.sched_getaffinity(0))
        self.force = force or rebuild
        self.forget = forget
        self.rebuild = rebuild
        self.warehouse = warehouse
        self.run_path = run_path
        self.keep_run_dir = keep_run_dir
        self.keep_going = keep_going
        self.keep_failed = keep_failed
        self.resume = resume
        self.resume_at = resume_at
        self.access = access
        self.invocation = invocation
        self.look = look
        self.remake = remake
        self.offline = offline
        self.max_unpacked = max_unpacked
        self.explain = explain
        self.hazards = hazards
        self.catalog_at = catalog_at
        self.sandbox = sandbox
        self.limits = limits or {}
        self.secrets = secrets or {}
        self.variable = variable
        self.directory = directory  # where paths of secrets given for this command begin
