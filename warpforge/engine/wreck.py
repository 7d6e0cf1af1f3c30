"""Failed boxes, as the engine has them: which are kept, and how a script is taken up again in one.

A script is resumed at an entry in the box that a run of the same step left: its inputs are the same, and so are the
entries before; that entry and those behind it may have changed. What earlier entries wrote is there; variables,
functions and the working directory that they set are not, but for ``set -e``.
"""

from __future__ import annotations

import os
from time import time
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from warpforge.engine.events import Notice, Reporter
from warpforge.errors import PREFIX, WarpforgeError
from warpforge.model.formula import Formula, Script
from warpforge.model.lint import sets_errexit
from warpforge.sandbox.spec import SCRIPT_DIR, BoxSpec, Mount

if TYPE_CHECKING:
    from warpforge.engine.job import Job
    from warpforge.engine.options import Wreckage
    from warpforge.store.failed import FailedBox
    from warpforge.store.runs import Run
    from warpforge.store.store import Store


class Resumption(NamedTuple):
    """Where a step goes on: in which box, at which entry of its script."""

    box: FailedBox
    entry: int

    def apply(self, spec: BoxSpec) -> BoxSpec:
        """The box of the step, begun with those layers, and its script without the entries that are done."""
        run = f"{SCRIPT_DIR}/run".encode()
        mounts = tuple(self._shorten(mount) if mount.at == run else mount for mount in spec.mounts)
        return replace(spec, mounts=mounts, layers=self.box.layers)

    def _shorten(self, mount: Mount) -> Mount:
        lines = mount.source.split(b"\n")
        script = read_formula(self.box).action
        assert isinstance(script, Script)
        begin = [b"set -e"] if any(map(sets_errexit, script.contents[: self.entry])) else []
        return Mount(mount.at, mount.kind, b"\n".join([*begin, *lines[self.entry :]]), mount.mode)


class Wrecks:
    """Keeps failed boxes as the options say, and finds the one in which a step can go on."""

    def __init__(self, store: Store, wreckage: Wreckage, reporter: Reporter) -> None:
        self._store = store
        self._wreckage = wreckage
        self._reporter = reporter

    def room(self, run: Run) -> bytes:
        """Where the layers go if this run fails; nothing when none are kept."""
        return self._store.failed.room(run.id) if self._wreckage.keep_failed else b""

    def settle(self, run: Run, job: Job, error: WarpforgeError | None) -> None:
        """The run is over; an error learns how one gets into the box."""
        if not self._wreckage.keep_failed:
            return
        note = make_note(run, job, error) if error is not None else None
        try:
            kept = self._store.failed.settle(run.id, note, boxes=self._wreckage.keep_failed)
        except (OSError, WarpforgeError) as trouble:  # a full disk, say: what failed is the action, and that is told
            self._reporter.tell(Notice("warning", f"the failed box is not kept: {trouble}"))
            return
        if kept and error is not None:
            error.details["shell"] = f"warpforge shell --failed {run.id[:8]}"

    def find(self, job: Job) -> Resumption | None:
        """The box in which this step is to go on, if it is asked to and there is one; says why when there is not."""
        if not self._wreckage.resume:
            return None
        box = next((box for box in self._store.failed.all() if is_of(box, job)), None)
        if box is None:
            return None
        entry = box.entry if self._wreckage.resume_at is None else self._wreckage.resume_at
        before = read_formula(box)
        why = why_not(before, job.formula, entry)
        if why:
            step = "/".join(job.step) or "the formula"
            self._reporter.tell(Notice("warning", f"{step} cannot be resumed: {why}; it runs from its beginning"))
            return None
        return Resumption(box, entry)


def make_note(run: Run, job: Job, error: WarpforgeError) -> FailedBox:
    """What is to be known of a failed box."""
    from msgspec import Raw, json

    from warpforge.store.failed import FailedBox

    return FailedBox(
        run=run.id,
        step=[*job.step],
        document=str(job.where.document),
        plot=job.where.plot,
        formula=Raw(json.encode(job.formula.to_serial())),
        formula_id=job.formula_id,
        entry=run.last_entry,
        error=error.chain()[-1].code.removeprefix(PREFIX),
        exit_code=run.entry.exit_code,
        failed=time(),
    )


def read_formula(box: FailedBox) -> Formula:
    """The formula that failed. Errors: ``formula-invalid``, ``serialization``."""
    from warpforge.model.serial import load_formula

    text = b'{"formula": {"formula.v1": %s}}' % bytes(box.formula)
    return load_formula(text, os.fsdecode(box.path)).noun.formula


def is_of(box: FailedBox, job: Job) -> bool:
    """Whether it is of the same step of the same document."""
    return (box.document, box.step) == (str(job.where.document), [*job.step])


def why_not(before: Formula, now: Formula, entry: int) -> str:
    """Why a formula cannot be taken up at an entry where another left it; "" when it can."""
    old, new = before.action, now.action
    if not isinstance(old, Script) or not isinstance(new, Script):
        return "it is no script"
    if not 0 <= entry < len(new.contents):
        return f"it has no entry {entry}"
    if {str(port): item.to_serial() for port, item in before.inputs.items()} != {
        str(port): item.to_serial() for port, item in now.inputs.items()
    }:
        return "its inputs have changed"
    if old.interpreter != new.interpreter:
        return "its interpreter has changed"
    if old.contents[:entry] != new.contents[:entry]:
        return f"an entry before entry {entry} has changed"
    return ""
