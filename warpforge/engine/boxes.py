"""Boxes: running one with what an engine has settled on: which back-end, where it works, who may stop it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from warpforge.engine.ending import executor_failed
from warpforge.engine.events import Notice, Reporter
from warpforge.errors import Unable
from warpforge.store.layout import is_inside

if TYPE_CHECKING:
    from warpforge.engine.conduct import Conduct
    from warpforge.engine.options import Acting
    from warpforge.model.limits import Limits
    from warpforge.sandbox.protocol import Cancel, OnGather, OnOutput, Seat, Turn
    from warpforge.sandbox.spec import BoxSpec, Outcome
    from warpforge.store.staging import Staging
    from warpforge.store.store import Store

GATHER: Final = 64 << 30  # bytes that a run may give unless a limit says otherwise: a sparse file can claim any number


class Boxes:
    """Of one engine. ``conduct`` says how, asked only when something really runs."""

    def __init__(
        self,
        store: Store,
        conduct: Callable[[], Conduct],
        reporter: Reporter,
        cancel: Callable[[], Cancel],
        acting: Acting,
    ) -> None:
        self._store = store
        self._conduct = conduct
        self._reporter = reporter
        self._cancel = cancel
        self._acting = acting

    @property
    def conduct(self) -> Conduct:
        """How they are run."""
        return self._conduct()

    @property
    def name(self) -> str:
        """The back-end's."""
        return self.conduct.box.name

    def warm(self) -> None:
        """Begin what the first box would have to wait for, whatever makes it. Errors: ``executor-failed``."""
        from warpforge.sandbox.client import zygote

        try:
            zygote.warm()
        except Unable as error:
            raise executor_failed("auto", error) from error

    def choose(self) -> None:
        """Settle on what makes them. Errors: ``executor-failed``."""
        try:
            _ = self.conduct.box
        except Unable as error:
            raise executor_failed("auto", error) from error

    def stop(self) -> None:
        """Kill what runs, and what will."""
        self._cancel().cancel()

    def run(
        self,
        spec: BoxSpec,
        on_output: OnOutput,
        on_gather: OnGather,
        *,
        seat: Seat | None = None,
        turn: Turn | None = None,
    ) -> Outcome:
        """Run one. Errors: ``executor-failed`` around what the sandbox cannot do; as ``Sandbox.run``."""
        box = self.conduct.box
        try:
            return box.run(
                spec,
                self._working_directory(spec),
                on_output=on_output,
                on_gather=on_gather,
                cancel=self._cancel(),
                seat=seat,
                turn=turn,
            )
        except Unable as error:
            if "sandbox" not in error.code:
                raise
            raise executor_failed(box.name, error) from error

    def _working_directory(self, spec: BoxSpec) -> str:
        """Where the box keeps its layers: in the store, but never below a directory that it mounts as an overlay."""
        usual = str(self._acting.run_path) if self._acting.run_path else self._store.staging.directory()
        if spec.keep:
            usual = str(self._acting.run_path or self._store.internal / "kept")
            os.makedirs(usual, 0o700, exist_ok=True)
            self._reporter.tell(Notice("info", f"the run directory is kept below {usual}"))
        real = ""
        for mount in spec.mounts:
            if mount.kind != "host-overlay":
                continue
            real = real or os.path.realpath(usual)
            if is_inside(real, os.path.realpath(os.fsdecode(mount.source))):
                return self._elsewhere.directory()
        return usual

    @cached_property
    def _elsewhere(self) -> Staging:
        from warpforge.fsx.atomic import make_private
        from warpforge.store.finding import storing
        from warpforge.store.staging import Staging

        path = f"/var/tmp/warpforge-{os.geteuid()}"
        with storing(f"cannot work in {path}"):
            return Staging(make_private(path))

    def close(self) -> None:
        """Remove the working directory outside of the store, if there was one."""
        if "_elsewhere" in self.__dict__:
            self._elsewhere.close()


def limited(spec: BoxSpec, limits: Limits) -> BoxSpec:
    """The same box with limits."""
    return replace(
        spec,
        deadline=float(limits.get("time", 0)),
        memory_limit=int(limits.get("memory", 0)),
        pids_limit=int(limits.get("pids", 0)),
        disk_limit=int(limits.get("disk", 0)),
        output_limit=int(limits.get("output", 0)),
        gather_limit=int(limits.get("gather", GATHER)),
    )
