"""Why a step runs, or ran: what differs from the last time, and what that is a consequence of.

The older formula is the one that the step had in the command before, whether it ran then or came from the memo; the
run log holds both. An input that another step made leads on to the two executions of that step, and so to the bottom.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from warpforge.engine.history import History, place_of
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.plan.plan import Source, StepPath
from warpforge.plan.why import CHANGED, FIRST, SAME, WAITS, Change, Reason, Serial, compare

if TYPE_CHECKING:
    from warpforge.engine.job import Job, Where
    from warpforge.engine.supply import Supply
    from warpforge.plan.foresee import Foreseen
    from warpforge.plan.plan import Plan
    from warpforge.store.invocations import Invocation
    from warpforge.store.run_entry import RunEntry
    from warpforge.store.store import Store

DEPTH: Final = 64  # consequences of consequences that are followed
FILES: Final = 20  # differing files that are named
LARGE: Final = 1 << 30  # bytes of a packed ware that is not read only to say which files differ
COMMANDS: Final = 200  # earlier commands that are looked at


class Explainer:
    """Explains steps over one store. What it reads of the run log, it reads once."""

    def __init__(self, store: Store, supply: Supply) -> None:
        self._store = store
        self._supply = supply
        self.history: Final = History(store.runs.entries())
        self._commands: list[Invocation] = [*islice(store.invocations.all(), COMMANDS)]
        self._diffs: dict[tuple[str, str], tuple[list[str], str]] = {}

    def job(self, job: Job, *, force: bool = False) -> Reason:
        """Why a formula is about to run."""
        place, step = place_of(str(job.where.document), job.where.plot), "/".join(job.step)
        before = self._before(place, step)
        new = _Version(job.formula.to_serial(), job.origins or {}, place)
        if before is not None and _is_same(_version(before), new, before.formula_id, job.formula_id):
            return Reason(step, SAME, note=self._same(before, force=force), before=before.id)
        return self._explain(step, before, new, 0)

    def run(self, entry: RunEntry) -> Reason:
        """Why an execution happened."""
        return self._ran(entry, 0)

    def waiting(self, plan: Plan, seen: Mapping[StepPath, Foreseen], where: Where, path: StepPath) -> Reason:
        """Why a step whose formula is not known yet may run: what is known of it, and why those before it run."""
        place = place_of(str(where.document), where.plot)
        return self._waiting(plan, seen, place, path, {})

    # one version against another

    def _ran(self, entry: RunEntry, depth: int) -> Reason:
        place, step = place_of(entry.document, entry.plot), "/".join(entry.step)
        before = self._before(place, step, entry)
        if before is not None and _is_same(_version(before), _version(entry), before.formula_id, entry.formula_id):
            return Reason(step, SAME, note=_same_then(before), run=entry.id, before=before.id)
        reason = self._explain(step, before, _version(entry), depth)
        reason.run = entry.id
        return reason

    def _explain(self, step: str, before: RunEntry | None, new: _Version, depth: int) -> Reason:
        if before is None:
            return Reason(step, FIRST, note="no earlier run of this step is known here")
        old = _version(before)
        whole = bool(old.formula) and bool(new.formula)
        reason = Reason(step, CHANGED, before=before.id)
        if whole:
            reason.changes = compare(old.formula, new.formula, old.origins, new.origins)
        else:
            inputs = {"inputs": before.inputs}, {"inputs": _without_literals(new)}
            reason.changes = compare(*inputs, old.origins, new.origins)
            reason.note = "the log does not hold the whole formula of the earlier run: only inputs could be compared"
        for change in reason.changes:
            self._follow(change, new.place, depth)
        return reason

    def _follow(self, change: Change, place: str, depth: int) -> None:
        """Look behind an input that changed: another step's executions, or the files of two wares."""
        if not change.at.startswith("input ") or not change.old or not change.new:
            return
        source = _source(change.origin)
        if source is not None and source == _source(change.old_origin or change.origin):
            change.cause = self._cause(place, *source, change, depth)
        if change.cause is None:
            change.files, note = self._files(change.old, change.new)
            change.note = change.note or note

    def _cause(self, place: str, step: str, label: str, change: Change, depth: int) -> Reason | None:
        runs = self.history.at(place, step)
        new = next((run for run in runs if _gave(run, label) == _bare(change.new)), None)
        old = next((run for run in runs if _gave(run, label) == _bare(change.old)), None)
        if new is None or depth >= DEPTH:
            return None
        if old is None:
            return Reason(step, CHANGED, note="the run that made the earlier result is not in the log", run=new.id)
        if old.formula_id == new.formula_id:
            note = "the same formula gave another result: it is not reproducible; see `warpforge ware diff`"
            return Reason(step, SAME, note=note, run=new.id, before=old.id)
        reason = self._explain(step, old, _version(new), depth + 1)
        reason.run = new.id
        return reason

    def _same(self, before: RunEntry, *, force: bool = False) -> str:
        """Why the very same formula runs once more."""
        if before.failed or not before.memoised:
            return _same_then(before)
        if force:
            return "nothing changed: it was asked for by force"
        if self._store.memo.load(before.formula_id) is None:
            return "nothing changed, but its memo is gone"
        gone = [ware for text in before.outputs.values() if (ware := _ware(text)) and not self._store.has(ware)]
        if gone:
            return f"nothing changed, but its result {gone[0]} is no longer in the store"
        return "nothing changed: it was asked for by force"

    def _before(self, place: str, step: str, entry: RunEntry | None = None) -> RunEntry | None:
        """What a step was in the command before (before an execution): the run that its result came from."""
        for command in self._commands:
            if entry is not None and (command.id == entry.invocation or command.started >= entry.started):
                continue
            for plot in command.plots:
                if place_of(plot.document, plot.name) != place:
                    continue
                for note in plot.steps:
                    found = self._noted(note.run, note.formula_id) if note.path == step else None
                    if found is not None and (entry is None or found.id != entry.id):
                        return found
        runs = self.history.at(place, step)
        return next((run for run in runs if entry is None or run.started < entry.started), None)

    def _noted(self, run: str, formula_id: str) -> RunEntry | None:
        if found := self.history.run(run):
            return found
        return next(iter(self.history.of_formula(formula_id)), None) if formula_id else None

    # what is not known yet

    def _waiting(
        self,
        plan: Plan,
        seen: Mapping[StepPath, Foreseen],
        place: str,
        path: StepPath,
        told: dict[StepPath, Reason],
    ) -> Reason:
        if path in told:
            return told[path]
        step, before = "/".join(path), self._before(place, "/".join(path))
        formula = seen[path].formula
        if formula is not None:
            if before is not None and _bare_formula(before) == formula.to_serial():
                told[path] = Reason(step, SAME, note=self._same(before), before=before.id)
                return told[path]
            told[path] = self._explain(step, before, _Version(formula.to_serial(), plan.origins(path), place), 0)
            return told[path]
        told[path] = reason = Reason(step, WAITS, note="its formula is known when these have run")
        if before is not None:
            new = _Version(_partial(plan, seen, path, _version(before).formula), plan.origins(path), place)
            known = self._explain(step, before, new, 0)
            reason.changes, reason.before = known.changes, before.id
        if path in plan.stuck:
            reason.changes.append(Change(f"input {plan.stuck[path]}", note="nobody knows its ware before it is made"))
        for port in plan.proto(path).inputs:
            source = plan.source(path, port)
            if isinstance(source, Source) and seen[source.step].results is None:
                cause = self._waiting(plan, seen, place, source.step, told)
                origin = plan.origins(path)[str(port)]
                reason.changes.append(Change(f"input {port}", origin=origin, note="may change", cause=cause))
        return reason

    # which files

    def _files(self, old: str, new: str) -> tuple[list[str], str]:
        """What differs between two wares, as lines, and a remark; both empty for what is no ware."""
        if (old, new) not in self._diffs:
            one, other = _ware(old), _ware(new)
            self._diffs[old, new] = ([], "") if one is None or other is None else self._compare(one, other)
        return self._diffs[old, new]

    def _compare(self, old: WareId, new: WareId) -> tuple[list[str], str]:
        from warpforge.pack.diff import compare as compare_trees
        from warpforge.pack.packer import manifest

        warehouse = self._store.warehouse
        for ware in (old, new):
            path = warehouse.find(ware)
            if path is None:
                return [], f"which files differ cannot be said: {ware} is no longer here"
            if path.stat().st_size > LARGE:
                return [], f"see `warpforge ware diff {old} {new}`"
        try:
            with warehouse.open(old) as one, warehouse.open(new) as other:
                sides = (
                    manifest(one, self._supply.at_rest(old)[0]),
                    manifest(other, self._supply.at_rest(new)[0]),
                )
                lines = [str(change) for change in islice(compare_trees(*sides), FILES + 1)]
        except WarpforgeError as error:
            return [], f"which files differ cannot be said: {error.message}"
        if len(lines) > FILES:
            return lines[:FILES], f"and more: `warpforge ware diff {old} {new}`"
        return lines, ""


def _same_then(before: RunEntry) -> str:
    """Why the very same formula ran once more, some time ago."""
    if before.failed:
        end = before.error.rpartition("error-")[2] or f"exit code {before.exit_code}"
        return f"nothing changed, but it had failed before: {end}"
    if not before.memoised:
        return "nothing changed, but the memo never answers it: " + (", ".join(before.why) or "see the log")
    return "nothing changed: it was asked for by force, or its memo or result was gone"


class _Version:
    """A formula as it was or is: its representation (empty when it is not known), and what the plot says."""

    def __init__(self, formula: Serial, origins: Mapping[str, str], place: str) -> None:
        self.formula = formula
        self.origins = origins
        self.place = place


def _is_same(old: _Version, new: _Version, old_id: str, new_id: str) -> bool:
    """Whether it is the same formula; one with a secret has no id."""
    return old_id == new_id and (bool(old_id) or old.formula == new.formula)


def _version(entry: RunEntry) -> _Version:
    return _Version(_bare_formula(entry), entry.origins, place_of(entry.document, entry.plot))


def _bare_formula(entry: RunEntry) -> dict[str, Any]:
    raw = bytes(entry.formula)
    return msgspec.json.decode(raw, type=dict[str, Any]) if raw else {}


def _without_literals(new: _Version) -> dict[str, Any]:
    return {port: item for port, item in new.formula.get("inputs", {}).items() if not str(item).startswith("literal:")}


def _partial(plan: Plan, seen: Mapping[StepPath, Foreseen], path: StepPath, old: Serial) -> Serial:
    """A formula as far as it is known; what is not counts as it was."""
    serial = plan.proto(path).to_serial()
    before = old.get("inputs", {})
    for port in plan.proto(path).inputs:
        source = plan.source(path, port)
        value: Any
        if isinstance(source, Source):
            results = seen[source.step].results
            value = results.get(source.label) if results else None
        else:
            value = plan.pinned(source)
        text = f"ware:{value}" if isinstance(value, WareId) else str(value) if value is not None else None
        name = str(port)
        if text is None:
            serial["inputs"][name] = before.get(name, "")
        elif isinstance(serial["inputs"][name], dict):
            serial["inputs"][name] = {**serial["inputs"][name], "basis": text}
        else:
            serial["inputs"][name] = text
    return serial


def _source(origin: str) -> tuple[str, str] | None:
    """Step and label of a pipe."""
    kind, _, rest = origin.partition(":")
    step, _, label = rest.rpartition(":")
    return (step, label) if kind == "pipe" and step else None


def _gave(entry: RunEntry, label: str) -> str:
    return _bare(entry.outputs.get(label, ""))


def _bare(text: str) -> str:
    return text.removeprefix("ware:")


def _ware(text: str) -> WareId | None:
    try:
        return WareId.parse(_bare(text)) if not text.startswith("literal:") else None
    except ValueError:
        return None
