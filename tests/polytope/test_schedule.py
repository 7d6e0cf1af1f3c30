"""Which steps of a job may begin, and what becomes of the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warpforge.errors import Invalid
from warpforge.polytope.events import ENDED
from warpforge.polytope.jobs.schedule import Asked, Schedule
from warpforge.polytope.nouns import After


def make(**steps: str | list[After]) -> Schedule:
    """``b="a"``: b after a."""
    schedule = Schedule()
    asked = [
        Asked(id, [After(one) for one in said.split()] if isinstance(said, str) else said) for id, said in steps.items()
    ]
    schedule.add(asked)
    return schedule


def test_what_waits_for_nothing_begins_at_once_and_the_rest_when_its_time_has_come() -> None:
    schedule = make(a="", b="", c="a b", d="c")
    assert schedule.ready() == ["a", "b"]
    schedule.finished("a", "success")
    assert schedule.ready() == []
    schedule.finished("b", "success")
    assert schedule.ready() == ["c"]
    assert schedule.outcome() == "running"
    schedule.finished("c", "success")
    schedule.finished(schedule.ready()[0], "success")
    assert schedule.done and schedule.outcome() == "success"


def test_a_failure_cancels_what_needs_success_and_lets_the_others_run() -> None:
    schedule = make(
        a="", need=[After("a")], further=[After("need")], always=[After("a", "always")], mend=[After("a", "failed")]
    )
    schedule.finished(schedule.ready()[0], "failed", "it broke")
    assert schedule.ready() == ["always", "mend"]
    assert schedule.states["need"] == schedule.states["further"] == "canceled"
    why = {change.step: change.why for change in schedule.changes() if change.state == "canceled"}
    assert why == {"need": "a failed", "further": "need was not run"}
    for step in ("always", "mend"):
        schedule.finished(step, "success")
    assert schedule.done and schedule.outcome() == "failed"


def test_what_waits_for_a_failure_is_not_run_without_one() -> None:
    schedule = make(a="", mend=[After("a", "failed")], report=[After("mend", "always")])
    schedule.finished(schedule.ready()[0], "success")
    assert schedule.ready() == ["report"]
    schedule.finished("report", "success")
    assert schedule.outcome() == "success"


@pytest.mark.parametrize(
    ("steps", "circle"),
    [
        ({"a": "a"}, "a -> a"),
        ({"x": "", "a": "b x", "b": "c", "c": "a"}, "a -> b -> c -> a"),
        ({"out": "a", "a": "b", "b": "a"}, "a -> b -> a"),
    ],
)
def test_a_circle_is_refused_with_its_names(steps: dict[str, str], circle: str) -> None:
    with pytest.raises(Invalid) as caught:
        make(**steps)
    assert (caught.value.reason, caught.value.details["cycle"]) == ("cycle", circle)


def test_a_step_that_is_not_there_is_refused() -> None:
    with pytest.raises(Invalid, match="there is a, c") as caught:
        make(a="", b="nothing", c="")
    assert caught.value.details["after"] == "nothing"


def test_ids_that_are_taken_get_a_number_and_edges_stay_among_those_added_together() -> None:
    schedule = make(a="", b="a")
    assert schedule.add([Asked("a"), Asked("b", [After("a")])], "b") == {"a": "a-2", "b": "b-2"}
    assert schedule.ready() == ["a", "a-2"] and schedule.parent("a-2") == "b"
    schedule.finished("a-2", "success")
    assert schedule.ready() == ["b-2"]


def test_stopping_begins_nothing_more_and_tells_what_runs() -> None:
    schedule = make(a="", b="", c="a")
    schedule.ready()
    schedule.running("a")
    assert schedule.stop() == ["a", "b"]
    assert schedule.state("c") == "canceled" and schedule.outcome() == "stopping"
    schedule.finished("a", "stopped")
    schedule.finished("b", "success")  # it was quicker
    assert schedule.done and schedule.ready() == [] and schedule.outcome() == "stopped"


@given(
    st.lists(st.sets(st.integers(0, 9), max_size=4), min_size=1, max_size=10),
    st.lists(st.sampled_from(["success", "failed"]), min_size=10, max_size=10),
    st.sampled_from(["success", "failed", "always"]),
)
def test_every_step_ends_and_none_before_its_time(needs: list[set[int]], outcomes: list[str], condition: str) -> None:
    steps = {str(number): {str(need) for need in found if need < number} for number, found in enumerate(needs)}
    schedule = Schedule()
    schedule.add([Asked(id, [After(need, condition) for need in sorted(found)]) for id, found in steps.items()])  # type: ignore[arg-type]
    ran: list[str] = []
    while ready := schedule.ready():
        for step in ready:
            assert all(schedule.state(need) in ENDED for need in steps[step])
            ran.append(step)
            schedule.finished(step, outcomes[int(step)])  # type: ignore[arg-type]
    assert schedule.done and len(ran) == len({*ran})
