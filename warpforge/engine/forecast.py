"""Forecast: what a run would do, without doing it: what the memo answers, what is fetched, how long the rest takes.

Nothing is executed and nothing is written. Mirrors are asked how large a ware is, unless they are not to be asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from warpforge.engine.history import History
from warpforge.engine.job import Job, Where
from warpforge.engine.sizes import Sizes
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import CatalogRef, Ingest, WareId
from warpforge.model.ident import formula_id
from warpforge.model.plot import Plot, PlotBasis, PlotResults
from warpforge.plan.foresee import FETCH, HIT, REPLAY, RUN, WAITS, Foreseen, critical_path, foresee, in_order, makespan
from warpforge.plan.plan import FormulaTask, Plan, RepackTask, Result, Source, StepPath
from warpforge.plan.refs import wares

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.workspace.targets import Target

AT_ONCE: Final = 8  # mirrors that are asked
MISSING: Final = "missing"  # a step needs a ware that nobody has

HERE: Final = "here"
MIRROR: Final = "mirror"
NOWHERE: Final = "nowhere"


class WareForecast(msgspec.Struct, omit_defaults=True):
    """An input ware that no step of the plot makes.

    ``state``: here, mirror (then ``source`` is its address, ``bytes`` its size if that is known), replay (``source`` is
    the plot's id, with so many ``steps``), ingest (it is made from what is on this machine), nowhere.
    ``maybe``: only steps whose formula is not known need it.
    """

    ware: str
    origin: str
    state: str
    bytes: int | None = None
    source: str = ""
    steps: int = 0
    maybe: bool = False


class StepForecast(msgspec.Struct, omit_defaults=True):
    """One step. ``verdict``: as ``plan.foresee`` has them, or missing. ``seconds``: by ``basis``, formula or step.

    ``saves``: the seconds that a hit saves. ``waits``: what must be known first. ``wares``: which of the plot's are to
    be had for it.
    """

    step: str
    verdict: str
    formula_id: str = msgspec.field(default="", name="formulaID")
    seconds: float | None = None
    basis: str = ""
    saves: float | None = None
    needs: list[str] = []
    waits: list[str] = []
    wares: list[str] = []


class Forecast(msgspec.Struct):
    """One plot or formula. Times in seconds; ``untimed``: steps whose time nobody knows, so all is at least as long.

    ``bytes``: to be fetched for what surely runs; ``unsized``: wares whose size is not known. ``hazards``: releases
    that are marked as hazardous, and why.
    """

    document: str
    name: str
    jobs: int
    steps: list[StepForecast]
    wares: list[WareForecast]
    counts: dict[str, int]
    bytes: int
    unsized: int
    path: list[str]
    path_seconds: float
    seconds: float
    untimed: int
    hazards: list[str] = []


class Forecaster:
    """Foretells what an engine would do; one for a command. ``ask``: whether mirrors are asked."""

    def __init__(self, engine: Engine, jobs: int, *, ask: bool = True) -> None:
        self._engine = engine
        self._jobs = jobs
        self._ask = ask
        self._history = History(engine.store.runs.entries())
        self._wares: dict[WareId, WareForecast] = {}
        self._speed = _speed(engine)
        self._sizes = Sizes(engine)

    def forecast(self, target: Target) -> Forecast:
        """What running a target would do. Errors: those of reading and pinning its plot."""
        if target.kind == "formula":
            return self._forecast_formula(target)
        plot, where = self._engine.load(target)
        pinner = self._engine.pinner
        plan, seen = self.foresee(plot, where)
        if plan.done and where.plot:
            self._engine.built[where.plot] = PlotResults(plan.results())
        elif where.plot:
            pinner.to_come.add(where.plot)
        return self._tell(plan, seen, where)

    def forecast_plot(self, plot: Plot, where: Where) -> Forecast:
        """What running a plot would do that is nobody's module. Errors: those of pinning it."""
        return self._tell(*self.foresee(plot, where), where)

    def foresee(self, plot: Plot, where: Where) -> tuple[Plan, dict[StepPath, Foreseen]]:
        """How far a plot gets from what is known already. Errors: those of pinning it."""
        plan = Plan(plot, self._engine.pinner.pins(plot, where.base))
        self._engine.pinner.belong(where.plot, wares(plot))
        return plan, foresee(plan, lambda task: self._recall(task, where), self._repack)

    def _forecast_formula(self, target: Target) -> Forecast:
        file, where = self._engine.load_formula(target)
        results = self._recall(FormulaTask((), file.formula), where)
        wanted: dict[WareId, PlotBasis] = {
            entry.basis: entry.basis for entry in file.formula.inputs.values() if isinstance(entry.basis, WareId)
        }
        step = self._step((), Foreseen(file.formula, results), where)
        if results is None:
            self._look_for(wanted)
            self._judge(step, wanted)
        return self._sum({(): step}, [self._wares[ware] for ware in wanted if results is None], {(): []}, where)

    def _recall(self, task: FormulaTask, where: Where) -> Mapping[str, Result] | None:
        record = self._engine.executor.recall(Job(task.path, task.formula, formula_id(task.formula), where))
        return None if record is None else record.results

    def _repack(self, task: RepackTask) -> WareId | None:
        """What packing again would give, if the ware is here: found out by doing it into nothing."""
        from io import BytesIO

        from warpforge.engine.gather import read_filters
        from warpforge.pack.filters import SCAN
        from warpforge.pack.packer import repack

        class Nothing(BytesIO):
            def write(self, data: Any, /) -> int:
                return len(data)

        if not self._engine.store.warehouse.has(task.ware):
            return None
        with self._engine.store.warehouse.open(task.ware) as packed:
            return repack(packed, task.ware.packtype, read_filters(SCAN, task.filters), Nothing()).ware

    def _tell(self, plan: Plan, seen: Mapping[StepPath, Foreseen], where: Where) -> Forecast:
        wanted = {path: self._wanted(plan, path) for path, one in seen.items() if one.results is None}
        self._look_for({ware: said for wares in wanted.values() for ware, said in wares.items()})
        needs = {path: plan.needs(path) for path in seen}
        steps = {}
        for path, _ in in_order(dict.fromkeys(seen, 0.0), needs):
            one = seen[path]
            step = self._step(path, one, where)
            step.needs = ["/".join(need) for need in needs[path]]
            if one.formula is None:
                step.waits = [plan.stuck[path]] if path in plan.stuck else self._waits_for(plan, seen, path)
            elif one.results is None:
                self._judge(step, wanted[path])
            steps[path] = step
        needed = {ware for path, wares in wanted.items() if seen[path].formula is not None for ware in wares}
        told = dict.fromkeys(ware for wares in wanted.values() for ware in wares)
        wares = [replace(self._wares[ware], maybe=ware not in needed) for ware in told]
        return self._sum(steps, wares, needs, where)

    def _waits_for(self, plan: Plan, seen: Mapping[StepPath, Foreseen], path: StepPath) -> list[str]:
        return ["/".join(need) for need in plan.needs(path) if seen[need].results is None]

    def _wanted(self, plan: Plan, path: StepPath) -> dict[WareId, PlotBasis]:
        """The wares that a step needs and that no step makes, with what the plot says of each."""
        found: dict[WareId, PlotBasis] = {}
        for port in plan.proto(path).inputs:
            said = plan.source(path, port)
            if isinstance(said, Source):
                continue
            ware = plan.pinned(said)
            if isinstance(ware, WareId):
                found.setdefault(ware, said)
        return found

    def _step(self, path: StepPath, one: Foreseen, where: Where) -> StepForecast:
        known = "" if one.formula is None else formula_id(one.formula)
        guess = self._history.guess(known, where, path)
        step = StepForecast("/".join(path), WAITS if one.formula is None else RUN, known)
        if one.results is not None:
            step.verdict = HIT
            step.saves = guess.seconds if guess and guess.basis == "formula" else None
        elif guess is not None:
            step.seconds, step.basis = round(guess.seconds, 3), guess.basis
        return step

    def _judge(self, step: StepForecast, wanted: Mapping[WareId, PlotBasis]) -> None:
        states = {ware: self._wares[ware].state for ware in wanted}
        step.wares = [str(ware) for ware, state in states.items() if state not in (HERE, "ingest")]
        for state, verdict in ((NOWHERE, MISSING), (REPLAY, REPLAY), (MIRROR, FETCH)):
            if state in states.values():
                step.verdict = verdict
                return

    def _sum(
        self,
        paths: Mapping[StepPath, StepForecast],
        wares: list[WareForecast],
        needs: Mapping[StepPath, list[StepPath]],
        where: Where,
    ) -> Forecast:
        steps = [*paths.values()]
        fetched = [ware for ware in wares if ware.state == MIRROR and not ware.maybe]
        seconds = {path: step.seconds or 0.0 for path, step in paths.items()}
        size = sum(ware.bytes or 0 for ware in fetched)
        if fetched and self._speed:
            _add_fetching(seconds, paths, {ware.ware: (ware.bytes or 0) / self._speed for ware in fetched})
        path = critical_path(seconds, needs)
        return Forecast(
            document=str(where.document),
            name=where.plot,
            jobs=self._jobs,
            steps=steps,
            wares=wares,
            counts={v: n for v in (HIT, RUN, FETCH, REPLAY, MISSING, WAITS) if (n := _count(steps, v))},
            bytes=size,
            unsized=sum(ware.bytes is None for ware in fetched),
            path=["/".join(step) for step in path],
            path_seconds=round(sum(seconds[step] for step in path), 3),
            seconds=round(makespan(seconds, needs, self._jobs), 3),
            untimed=sum(step.verdict != HIT and step.seconds is None for step in steps),
            hazards=[f"{name}: {text}" for name, text in self._engine.pinner.hazards.items()],
        )

    # where wares are

    def _look_for(self, wanted: Mapping[WareId, PlotBasis]) -> None:
        """Find out where wares are; mirrors are asked side by side."""
        away = []
        for ware, said in wanted.items():
            if ware in self._wares:
                continue
            if self._engine.supply.has(ware):
                self._wares[ware] = WareForecast(str(ware), _spell(said), HERE)
            elif isinstance(said, Ingest):
                self._wares[ware] = WareForecast(str(ware), _spell(said), "ingest")
            else:
                away.append((ware, said))
        if not away:
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for (ware, _), found in zip(away, pool.map(lambda one: self._find(*one), away), strict=True):
                self._wares[ware] = found

    def _find(self, ware: WareId, said: PlotBasis) -> WareForecast:
        from warpforge.mirror.protocol import shown

        found = WareForecast(str(ware), _spell(said), NOWHERE, self._known_size(ware, said))
        addresses = self._engine.mirrors(ware)
        if not self._ask and addresses:
            found.state, found.source = MIRROR, shown(addresses[0])
            return found
        for address in addresses:
            size, is_there = self._size(ware, address)
            if is_there:
                found.state, found.source = MIRROR, shown(address)
                found.bytes = found.bytes if size is None else size
                return found
        if isinstance(said, CatalogRef):
            self._find_replay(said, found)
        return found

    def _size(self, ware: WareId, address: Any) -> tuple[int | None, bool]:
        from warpforge.mirror.download import size_of
        from warpforge.mirror.protocol import connect, find_upstream

        access = self._engine.reach.access
        try:
            upstream = find_upstream(address, ware.packtype, access)
            if upstream is not None:
                return None, upstream.has(ware)
            with connect(address, access).open(ware) as stream:
                return size_of(stream), True
        except WarpforgeError:
            return None, False

    def _known_size(self, ware: WareId, said: PlotBasis) -> int | None:
        """What the release that names a ware says of its size, or whoever had it, or was told."""
        pin = self._engine.lookup.find(said) if isinstance(said, CatalogRef) else None
        stated = pin.release.size(pin.ref.item) if pin else None
        return self._sizes.of(ware) if stated is None else stated

    def _find_replay(self, ref: CatalogRef, found: WareForecast) -> None:
        pin = self._engine.lookup.find(ref)
        replay = pin.release.replay if pin else None
        plot = pin.catalog.replay(ref.module, replay) if pin and replay else None
        if replay and plot:
            from warpforge.model.plot import Protoformula, every_body

            found.state, found.source = REPLAY, replay
            found.steps = sum(isinstance(body, Protoformula) for _, body, _ in every_body(plot))


def _spell(said: PlotBasis) -> str:
    from warpforge.model.plot import spell

    return spell(said)


def _count(steps: list[StepForecast], verdict: str) -> int:
    return sum(step.verdict == verdict for step in steps)


def _add_fetching(
    seconds: dict[StepPath, float], steps: Mapping[StepPath, StepForecast], times: dict[str, float]
) -> None:
    """The first step that needs a ware waits until it is there."""
    for path, step in steps.items():
        for ware in step.wares:
            seconds[path] += times.pop(ware, 0.0)


def _speed(engine: Engine) -> float:
    """Bytes a second that mirrors gave lately; 0 when nobody knows."""
    from itertools import islice

    moved = [invocation.moved for invocation in islice(engine.store.invocations.all(), 50)]
    seconds = sum(took for _, took in moved)
    return sum(count for count, _ in moved) / seconds if seconds else 0.0
