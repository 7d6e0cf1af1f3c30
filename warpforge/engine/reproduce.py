"""Reproduce: a step is run again, and again with one thing varied at a time, and what changes its outputs is named.

    run it · run it at once again, with nothing varied (the **control**) · for each variation run it so, and compare

When even the control differs, what makes it differ is looked for by holding things still: addresses, and the date
where a preload works. What is found so is the cause, and stays held still while the others are tried.

Grades: **A** nothing changed the outputs; **B** only what every box holds fixed does; **C** something that differs
between machines or moments does; **D** the outputs differ by themselves, and no cause was found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from warpforge.engine.ending import ActionFailed, check_end, check_gathered
from warpforge.engine.execution import keep_output
from warpforge.engine.furnish import furnish
from warpforge.engine.gather import check_gathers
from warpforge.engine.job import check_mounts, describe
from warpforge.engine.rebuild import keep_both, tell
from warpforge.engine.vary import HELD, Place, Setting, Unvaried, find_elsewhere, vary
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import Literal, WareId
from warpforge.model.run import RunRecord

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.engine.job import Job
    from warpforge.sandbox.protocol import Entries
    from warpforge.store.staging import Staging

SAME: Final = "same"
DIFFERS: Final = "differs"
FAILS: Final = "fails"
UNCLEAR: Final = "unclear"  # it differs by itself, so nothing can be said of this variation
UNVARIED: Final = "not varied"
STILL: Final = ("aslr", "time")  # what can be held still
BY_ITSELF: Final = "it differs by itself, with nothing varied"
MOVING: Final = "it changes with every second, and two runs of it do not fall into one"
LATER: Final = 1.1  # seconds: the next second by any clock
TRIES: Final = 5  # for two runs to fall into one second: a busy machine may tear them apart
LONG: Final = 20.0  # seconds; two runs that take longer never do


class Trial(NamedTuple):
    """What one variation showed. ``note``: what was varied, or why not; ``changes``: the files that differ."""

    variation: str
    verdict: str
    note: str = ""
    changes: tuple[str, ...] = ()
    kept: str = ""

    def to_serial(self) -> dict[str, Any]:
        return {key: value for key, value in self._asdict().items() if value}


class Reproduction(NamedTuple):
    """What became of one step; the first trial is the control."""

    job: Job
    trials: tuple[Trial, ...]

    @property
    def causes(self) -> list[str]:
        """The variations that change the outputs, or break the action."""
        return [trial.variation for trial in self.trials[1:] if trial.verdict in (DIFFERS, FAILS)]

    @property
    def grade(self) -> str:
        """A, B, C or D."""
        if self.trials[0].verdict != SAME and not self.causes:
            return "D"
        if not self.causes:
            return "A"
        return "B" if HELD.issuperset(self.causes) and self.trials[0].verdict == SAME else "C"


class Reproducer:
    """Runs steps again. ``told`` hears of every trial as soon as it is over."""

    def __init__(self, engine: Engine, told: Callable[[Job, Trial], None] = lambda job, trial: None) -> None:
        self._engine = engine
        self._told = told
        self._elsewhere: Staging | None = None

    def reproduce(self, job: Job, variations: Sequence[str]) -> Reproduction:
        """Try one step. The caller uses the store. Errors: those of an execution that works as little as before."""
        check_gathers(job.formula)
        check_mounts(job)
        trees = self._engine.executor.trees(job.formula)
        spec = furnish(job.formula, trees, job.where.base)
        setting = Setting(spec, self._engine.box, self._engine.store.staging.directory())
        trials = []
        for trial in self._trials(job, setting, variations):
            trials.append(trial)
            self._told(job, trial)
        return Reproduction(job, tuple(trials))

    def close(self) -> None:
        """Remove what was made elsewhere."""
        if self._elsewhere is not None:
            self._elsewhere.close()

    def _trials(self, job: Job, setting: Setting, variations: Sequence[str]) -> Iterator[Trial]:
        first, again, _ = self._run_twice(job, setting, setting, "")
        control = self._compare(job, "control", "nothing varied", first, again)
        yield control
        shaky = control.verdict != SAME
        moving = False  # whether it changes with every second: then what is compared must fall into one
        names = sorted(variations, key=lambda name: name not in STILL if shaky else name != "time")
        for name in names:
            try:
                varied = vary(name, setting, self._place)
            except Unvaried as why:
                yield Trial(name, UNVARIED, str(why))
                continue
            if shaky:
                is_still = name in STILL and varied.spec != setting.spec
                trial = self._hold_still(job, name, varied) if is_still else Trial(name, UNCLEAR, BY_ITSELF)
                if trial.verdict == DIFFERS:  # held still it is the same every time: this is why it was not
                    trial = trial._replace(changes=control.changes, kept=control.kept)
                    setting, shaky = varied, False
                    first = self._run(job, setting, "")
            else:
                trial = self._vary(job, name, varied, None if moving else first, setting)
            moving = moving or (name == "time" and trial.verdict == DIFFERS and not shaky)
            yield trial

    def _vary(self, job: Job, name: str, varied: Setting, first: RunRecord | None, usual: Setting) -> Trial:
        """``first``: what to compare with; None: what comes of the ``usual`` setting in the same second."""
        try:
            if first is None:
                first, again, is_torn = self._run_twice(job, usual, varied, name)
                if is_torn:
                    return Trial(name, UNCLEAR, MOVING)
            else:
                if name == "time":
                    time.sleep(LATER)
                again = self._run(job, varied, name)
        except ActionFailed as error:
            return Trial(name, FAILS, varied.note, (error.message,))
        return self._compare(job, name, varied.note, first, again)

    def _run_twice(self, job: Job, usual: Setting, varied: Setting, name: str) -> tuple[RunRecord, RunRecord, bool]:
        """Both in one second where that can be had; whether they differ, and it may be the time that does it."""
        for left in reversed(range(TRIES)):
            _next_second()
            began = time.time()
            first, again = self._run(job, usual, ""), self._run(job, varied, name)
            ended = time.time()
            is_torn = first.results != again.results and int(began) != int(ended)
            if not is_torn or ended - began > LONG or not left:
                break
        return first, again, is_torn

    def _hold_still(self, job: Job, name: str, still: Setting) -> Trial:
        try:
            same = self._run(job, still, name).results == self._run(job, still, name).results
        except ActionFailed as error:
            return Trial(name, FAILS, still.note, (error.message,))
        if same:
            return Trial(name, DIFFERS, f"{still.note}: then it is the same every time")
        return Trial(name, UNCLEAR, f"{BY_ITSELF}, and with this held still, too")

    def _compare(self, job: Job, name: str, note: str, first: RunRecord, again: RunRecord) -> Trial:
        if first.results == again.results:
            return Trial(name, SAME, note)
        lines = [
            f"{label}: {line}"
            for label, result in again.results.items()
            if first.results.get(label) != result
            for line in tell(self._engine.supply, first.results.get(label), result)
        ]
        kept = keep_both(self._engine.store, f"{name}-{again.guid}", first.results, again.results)
        return Trial(name, DIFFERS, note, tuple(lines), kept)

    def _run(self, job: Job, setting: Setting, variation: str) -> RunRecord:
        """One run, in the run log and never memoised. Errors: as ``Executor.execute``."""
        store = self._engine.store
        results: dict[str, WareId | Literal] = {}
        labels = [*job.formula.outputs]
        run = store.runs.begin(job.formula_id, job.step)
        describe(run, job)
        run.entry.why.append(f"varied: {variation}" if variation else "run again to be compared")

        def on_gather(index: int, entries: Entries) -> None:
            results[labels[index]] = keep_output(store, job.formula, labels[index], entries)

        try:
            outcome = setting.box.run(
                setting.spec, setting.work, on_output=lambda _, data: run.write(data), on_gather=on_gather
            )
            run.entry.exit_code = outcome.exit_code
            record = RunRecord(run.id, int(time.time()), job.formula_id, outcome.exit_code, {})
            check_end(job, record, outcome, run)
            for label, gathered in zip(labels, outcome.gathered, strict=True):
                check_gathered(label, gathered)
        except WarpforgeError as error:
            run.entry.error = error.chain()[-1].code
            raise
        finally:
            run.finish()
        return RunRecord(record.guid, record.time, record.formula_id, 0, {label: results[label] for label in labels})

    @property
    def _place(self) -> Place:
        return Place(self._engine.store.staging.directory, self._find_elsewhere)

    def _find_elsewhere(self) -> str:
        import os

        from warpforge.fsx.atomic import make_private
        from warpforge.store.staging import Staging

        if self._elsewhere is None:
            top = find_elsewhere(self._engine.store.staging.directory())
            try:
                self._elsewhere = Staging(make_private(f"{top}/warpforge-{os.geteuid()}"))
            except OSError as error:
                raise Unvaried(f"{error.filename}: {error.strerror}") from error
        return self._elsewhere.directory()


def _next_second() -> None:
    """Wait for the beginning of a second, so that two short runs fall into the same."""
    time.sleep(1.02 - time.time() % 1)
