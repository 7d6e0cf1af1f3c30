"""History: what the run log knows of steps and formulas, read once."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from warpforge.engine.job import Where
    from warpforge.plan.plan import StepPath
    from warpforge.store.run_entry import RunEntry

DEPTH: Final = 50_000  # executions that are looked at
RECENT: Final = 5  # of one formula or step that count for how long it takes


class Guess(NamedTuple):
    """How long something takes. ``basis``: ``formula`` (this very formula ran), ``step`` (others of the step did)."""

    seconds: float
    basis: str


class History:
    """Executions by id, by formula and by step, each newest first. ``entries``: newest first."""

    def __init__(self, entries: Iterable[RunEntry]) -> None:
        self._ids: dict[str, RunEntry] = {}
        self._formulas: dict[str, list[RunEntry]] = {}
        self._steps: dict[tuple[str, str], list[RunEntry]] = {}
        for entry in islice(entries, DEPTH):
            self._ids[entry.id] = entry
            self._formulas.setdefault(entry.formula_id, []).append(entry)
            self._steps.setdefault((place_of(entry.document, entry.plot), "/".join(entry.step)), []).append(entry)

    def add(self, entry: RunEntry) -> None:
        """One that has just ended."""
        self._ids[entry.id] = entry
        self._formulas.setdefault(entry.formula_id, []).insert(0, entry)
        self._steps.setdefault((place_of(entry.document, entry.plot), "/".join(entry.step)), []).insert(0, entry)

    def run(self, run_id: str) -> RunEntry | None:
        """One execution."""
        return self._ids.get(run_id)

    def all(self) -> list[RunEntry]:
        """Every execution, newest first."""
        return [*self._ids.values()]

    def of_formula(self, formula_id: str) -> list[RunEntry]:
        """The executions of a formula."""
        return self._formulas.get(formula_id, [])

    def of_step(self, where: Where, step: StepPath) -> list[RunEntry]:
        """The executions of a step: of the module's, wherever it lies, else of the document's."""
        return self.at(place_of(str(where.document), where.plot), "/".join(step))

    def at(self, place: str, step: str) -> list[RunEntry]:
        """The executions of a step of what ``place_of`` names."""
        return self._steps.get((place, step), [])

    def guess(self, formula_id: str, where: Where, step: StepPath) -> Guess | None:
        """How long a step takes, as far as it ran before; the formula is empty when it is not known."""
        for basis, entries in (
            ("formula", self.of_formula(formula_id) if formula_id else []),
            ("step", self.of_step(where, step)),
        ):
            good = [entry.duration for entry in entries if not entry.failed][:RECENT]
            if good:
                return Guess(median(good), basis)
        return None


def place_of(document: str, plot: str) -> str:
    """What makes steps of one name the same step."""
    return f"module {plot}" if plot else f"file {document}"
