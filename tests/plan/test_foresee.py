"""How far a plot gets from what is known, and how long the rest takes."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from support.plots import plot, script, subplot

from warpforge.model.atoms import CatalogRef, Ingest, WareId
from warpforge.model.serial import load_plot
from warpforge.plan.foresee import critical_path, foresee, in_order, makespan
from warpforge.plan.plan import FormulaTask, Pins, Plan, Result, StepPath
from warpforge.plan.refs import refs

WARE = WareId("ztar", "abcdef")


def make(document: Mapping[str, object], **open_: bool) -> Plan:
    noun = load_plot(json.dumps(document).encode(), "plot").noun
    pins: Pins = {ref: WARE if isinstance(ref, CatalogRef) else ref for ref in refs(noun)}
    return Plan(noun, pins)


CHAIN = plot(
    {
        "a": script("a", outputs={"o": "/o"}),
        "deep": subplot(
            {"rootfs": "pipe::rootfs", "in": "pipe:a:o"},
            {"b": script("b", inputs={"/in": "pipe::in"}, outputs={"o": "/o"})},
            {"out": "pipe:b:o"},
        ),
        "c": script("c", inputs={"/in": "pipe:deep:out"}),
        "alone": script("d"),
    }
)


def results(task: FormulaTask) -> dict[str, Result]:
    return {label: WareId("ztar", f"{task.path[-1]}.{label}") for label in task.formula.outputs}


def test_what_is_known_makes_more_known() -> None:
    plan = make(CHAIN)
    seen = foresee(plan, results, lambda task: None)
    assert all(one.formula is not None and one.results is not None for one in seen.values())
    assert plan.done


def test_behind_a_step_that_must_run_nothing_is_known() -> None:
    seen = foresee(make(CHAIN), lambda task: None if task.path == ("a",) else results(task), lambda task: None)
    assert {"/".join(path): (one.formula is not None, one.results is not None) for path, one in seen.items()} == {
        "a": (True, False),
        "deep/b": (False, False),
        "c": (False, False),
        "alone": (True, True),
    }


def test_pipes_are_followed_through_subplots_to_the_step_that_runs() -> None:
    plan = make(CHAIN)
    assert plan.needs(("c",)) == [("deep", "b")]
    assert plan.needs(("deep", "b")) == [("a",)]
    assert plan.origins(("c",))["/in"] == "pipe:deep/b:o"
    assert plan.origins(("deep", "b")) == {"/": "catalog:warpsys.org/busybox:v1.35.0:amd64-static", "/in": "pipe:a:o"}


def test_a_name_that_stands_for_itself_keeps_its_step_from_being_known() -> None:
    plan = make(plot({"a": script("a", inputs={"/src": "ingest:git:.:HEAD"}), "b": script("b")}))
    seen = foresee(plan, results, lambda task: None)
    assert [path for path, one in seen.items() if one.formula is None] == [("a",)]
    assert plan.stuck == {("a",): str(Ingest.parse("ingest:git:.:HEAD"))}


SECONDS: dict[StepPath, float] = {("a",): 3.0, ("b",): 1.0, ("c",): 2.0, ("d",): 4.0}
NEEDS: dict[StepPath, list[StepPath]] = {("c",): [("a",), ("b",)], ("d",): [("b",)]}


def test_the_critical_path_is_the_longest_chain() -> None:
    assert critical_path(SECONDS, NEEDS) in ([("a",), ("c",)], [("b",), ("d",)])
    assert critical_path({**SECONDS, ("a",): 3.5}, NEEDS) == [("a",), ("c",)]
    assert critical_path({}, {}) == []


def test_an_estimate_is_a_schedule() -> None:
    assert makespan(SECONDS, NEEDS, 1) == 10.0
    assert makespan(SECONDS, NEEDS, 2) == 5.0
    assert makespan({}, {}, 2) == 0.0


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[StepPath, float], dict[StepPath, list[StepPath]]]:
    count = draw(st.integers(1, 12))
    seconds: dict[StepPath, float] = {(str(n),): float(draw(st.integers(0, 9))) for n in range(count)}
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    needs: dict[StepPath, list[StepPath]] = {}
    for one, other in draw(st.lists(pairs, max_size=20)):
        if one != other:
            needs.setdefault((str(max(one, other)),), []).append((str(min(one, other)),))
    return seconds, needs


@given(graphs(), st.integers(1, 4))
def test_no_estimate_is_below_what_must_be(
    graph: tuple[dict[StepPath, float], dict[StepPath, list[StepPath]]], jobs: int
) -> None:
    seconds, needs = graph
    longest = sum(seconds[path] for path in critical_path(seconds, needs))
    total = sum(seconds.values())
    found = makespan(seconds, needs, jobs)
    assert max(longest, total / jobs) - 1e-9 <= found <= total + 1e-9
    assert makespan(seconds, needs, len(seconds)) == longest
    order = [path for path, _ in in_order(seconds, needs)]
    assert sorted(order) == sorted(seconds)
    assert all(order.index(need) < order.index(path) for path in order for need in needs.get(path, ()))
