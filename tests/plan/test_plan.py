"""The Plan: formulas come out as their needs go in, in any order, with the same result."""

from __future__ import annotations

import hashlib
import random

import pytest
from msgspec import UNSET

from warpforge.errors import Invalid
from warpforge.model.atoms import CatalogRef, FilterMap, Literal, Pipe, SandboxPort, WareId
from warpforge.model.formula import Exec, Formula, FormulaInput, GatherDirective
from warpforge.model.ident import formula_id
from warpforge.model.plot import Plot, PlotBasis, PlotInput, PlotOutput, Protoformula, Step
from warpforge.plan.plan import FormulaTask, Plan, RepackTask, Result, Task
from warpforge.plan.refs import refs

ROOT = WareId("tar", "root")
BUSYBOX = CatalogRef("warpsys.org/busybox", "v1", "amd64")


def proto(inputs: dict[str, PlotBasis], *outputs: str) -> Step:
    return Step.of(
        Protoformula(
            {SandboxPort(port): PlotInput.of(basis) for port, basis in inputs.items()},
            Exec(("/bin/true",)),
            {label: GatherDirective(SandboxPort("/out"), "tar") for label in outputs},
        )
    )


def plot(
    inputs: dict[str, PlotInput | PlotBasis], steps: dict[str, Step], outputs: dict[str, PlotOutput | Pipe]
) -> Plot:
    return Plot(
        {k: v if isinstance(v, PlotInput) else PlotInput.of(v) for k, v in inputs.items()},
        steps,
        {k: v if isinstance(v, PlotOutput) else PlotOutput.of(v) for k, v in outputs.items()},
    )


def give(task: Task) -> dict[str, Result]:
    """A pure stand-in for a box: the hash of what went in."""
    if isinstance(task, RepackTask):
        return {task.label: WareId("tar", f"re{task.ware.hash}")}
    name = formula_id(task.formula)
    return {
        label: WareId("tar", hashlib.sha256(f"{name}{label}".encode()).hexdigest()) for label in task.formula.outputs
    }


def work(plan: Plan, chance: random.Random | None = None) -> dict[tuple[str, ...], str]:
    """Run a plan to its end; gives the formula id of every step. ``chance`` shuffles what is done next."""
    ids = {}
    tasks = plan.ready()
    while tasks:
        task = tasks.pop(chance.randrange(len(tasks)) if chance else 0)
        if isinstance(task, FormulaTask):
            ids[task.path] = formula_id(task.formula)
        plan.finished(task, give(task))
        tasks += plan.ready()
    assert plan.done
    return ids


def nested() -> Plot:
    inner = plot(
        {"from-parent": Pipe("first", "out"), "rootfs": Pipe("", "rootfs")},
        {
            "one": proto({"/": Pipe("", "rootfs"), "/in": Pipe("", "from-parent")}, "out"),
            "two": proto({"/": Pipe("one", "out")}, "out"),
        },
        {"result": Pipe("two", "out")},
    )
    return plot(
        {"rootfs": BUSYBOX},
        {
            "first": proto({"/": Pipe("", "rootfs")}, "out"),
            "inner": Step.of(inner),
            "last": proto({"/": Pipe("inner", "result"), "$X": Literal("y")}, "out"),
        },
        {"all": Pipe("last", "out"), "part": Pipe("inner", "result")},
    )


def test_pipes_go_between_steps_from_inputs_and_from_a_parent_into_a_subplot() -> None:
    plan = Plan(nested(), {BUSYBOX: ROOT})
    seen = []
    while tasks := plan.ready():
        assert len(tasks) == 1
        task = tasks[0]
        assert isinstance(task, FormulaTask)
        seen.append(task)
        plan.finished(task, give(task))
    assert [task.path for task in seen] == [("first",), ("inner", "one"), ("inner", "two"), ("last",)]
    first, one = seen[0], seen[1]
    assert first.formula.inputs == {SandboxPort("/"): FormulaInput.of(ROOT)}
    assert one.formula.inputs[SandboxPort("/in")].basis == give(first)["out"]
    assert [closed.path for closed in plan.closed()] == [("inner",), ()]
    assert plan.results() == {"all": give(seen[3])["out"], "part": give(seen[2])["out"]}


def wide(count: int) -> Plot:
    chance = random.Random(7)
    steps = {}
    for n in range(count):
        needs = {f"/{m}": Pipe(f"s{m}", "out") for m in chance.sample(range(n), min(n, 3))}
        steps[f"s{n}"] = proto({"/": ROOT, **needs}, "out")
    return plot({}, steps, {"end": Pipe(f"s{count - 1}", "out")})


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("make", [nested, lambda: wide(40)])
def test_the_order_of_work_does_not_change_any_id(make: object, seed: int) -> None:
    assert callable(make)
    pins: dict[object, WareId] = {BUSYBOX: ROOT}
    plain, shuffled = Plan(make(), pins), Plan(make(), pins)  # type: ignore[arg-type]
    assert work(plain) == work(shuffled, random.Random(seed))
    assert plain.results() == shuffled.results()


def test_filters_of_a_plot_input_stay_out_and_those_of_a_step_go_in() -> None:
    own = FilterMap.of({"uid": "7"})
    step = Protoformula(
        {
            SandboxPort("/a"): PlotInput.of(Pipe("", "x")),
            SandboxPort("/b"): PlotInput.of(Pipe("", "x"), own),
        },
        Exec(("/bin/true",)),
        {},
    )
    plan = Plan(plot({"x": PlotInput.of(ROOT, FilterMap.of({"gid": "9"}))}, {"s": Step.of(step)}, {}), {})
    (task,) = plan.ready()
    assert isinstance(task, FormulaTask)
    assert task.formula.inputs[SandboxPort("/a")].filters is UNSET
    assert task.formula.inputs[SandboxPort("/b")].filters == own


def test_outputs_with_filters_are_packed_again_before_anybody_sees_them() -> None:
    filters = FilterMap.of({"mtime": "@7"})
    inner = plot(
        {}, {"s": proto({"/": ROOT}, "out")}, {"a": PlotOutput.of(Pipe("s", "out"), filters), "b": Pipe("s", "out")}
    )
    plan = Plan(plot({}, {"inner": Step.of(inner), "after": proto({"/": Pipe("inner", "a")})}, {}), {})
    (step,) = plan.ready()
    plan.finished(step, give(step))
    (repack,) = plan.ready()
    assert isinstance(repack, RepackTask)
    assert (repack.path, repack.label, repack.filters) == (("inner",), "a", filters)
    plan.finished(repack, give(repack))
    (after,) = plan.ready()
    assert isinstance(after, FormulaTask)
    assert after.formula.inputs[SandboxPort("/")].basis == give(repack)["a"]
    assert [*plan.closed()[0].results] == ["a", "b"]


def test_a_literal_result_goes_on_as_a_literal() -> None:
    plan = Plan(plot({}, {"v": proto({"/": ROOT}, "x"), "w": proto({"$V": Pipe("v", "x")})}, {"x": Pipe("v", "x")}), {})
    (first,) = plan.ready()
    plan.finished(first, {"x": Literal("hello\n")})
    (second,) = plan.ready()
    assert isinstance(second, FormulaTask)
    assert second.formula == Formula({SandboxPort("$V"): FormulaInput.of(Literal("hello\n"))}, Exec(("/bin/true",)), {})
    plan.finished(second, {})
    assert plan.results() == {"x": Literal("hello\n")}


def test_an_empty_plot_is_done_at_once() -> None:
    plan = Plan(plot({}, {}, {}), {})
    assert plan.done
    assert plan.results() == {}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (
            plot({}, {"a": proto({"/": Pipe("b", "out")}, "out"), "b": proto({"/": Pipe("a", "out")}, "out")}, {}),
            "cycle",
        ),
        (plot({}, {"a": proto({"/": Pipe("", "nope")})}, {}), "missing-label"),
        (plot({}, {"a": proto({"/": Pipe("nope", "out")})}, {}), "missing-step"),
        (plot({"x": Pipe("a", "out")}, {"a": proto({"/": Pipe("", "x")}, "out")}, {}), "pipe"),
    ],
)
def test_a_plot_that_cannot_be_planned_says_why(broken: Plot, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        Plan(broken, {})
    assert caught.value.reason == reason


def test_a_chain_of_ten_thousand_steps_and_of_a_thousand_subplots() -> None:
    steps = {"s0": proto({"/": ROOT}, "out")}
    steps |= {f"s{n}": proto({"/": Pipe(f"s{n - 1}", "out")}, "out") for n in range(1, 10_000)}
    assert len(work(Plan(plot({}, steps, {}), {}))) == 10_000
    deep = plot({}, {"s": proto({"/": ROOT}, "out")}, {"out": Pipe("s", "out")})
    for _ in range(1_000):
        deep = plot({}, {"in": Step.of(deep)}, {"out": Pipe("in", "out")})
    plan = Plan(deep, {})
    work(plan)
    assert len(plan.closed()) == 1_001


def test_refs_are_gathered_with_their_pointers() -> None:
    assert refs(nested()) == {BUSYBOX: ["/inputs/rootfs"]}
