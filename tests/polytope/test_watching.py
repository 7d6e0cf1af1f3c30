"""Triggers of a file begin their templates, by a clock that is told what time it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from warpforge.errors import Missing
from warpforge.polytope.calls.expand import Call
from warpforge.polytope.code.evaluator import Evaluator
from warpforge.polytope.files.library import Library
from warpforge.polytope.nouns import Template, Trigger
from warpforge.polytope.triggers.watching import Watching

FILE = """
modules: [{id: a, code: "#pt-js 1"}]
templates:
  - {id: nightly, run: [a]}
  - {id: told, params: [{id: event, type: any}], run: [a]}
triggers:
  - {id: night, on: [{schedule: "0 3 * * *"}], template: nightly}
  - {id: weekday, on: [{schedule: "0 4 * * *", when: "#pt-js params.event.time < '2026-05-05T00'"}], template: told}
  - {id: placed, on: [{schedule: "0 5 * * *"}], template: {run: [a]}}
  - {id: made, on: [{schedule: "0 6 * * *"}], template: "#pt-clj {:run [\\"a\\"]}"}
  - {id: named, on: [{schedule: "0 7 * * *"}], template: "#pt-clj (str \\"night\\" \\"ly\\")"}
  - {id: wrong, on: [{schedule: "0 8 * * *"}], template: nothing}
"""


class Sundial:
    """A clock that goes from one time to the next whenever somebody waits."""

    def __init__(self, *times: datetime) -> None:
        self._times = [*times]

    def now(self) -> datetime:
        return self._times[0]

    def wait(self, seconds: float) -> bool:
        self._times = self._times[1:] or self._times
        return len(self._times) == 1


class Stage:
    def __init__(self, path: Path, evaluator: Evaluator) -> None:
        self.path = path
        self.begun: list[tuple[str, Call]] = []
        self.told: list[dict[str, object]] = []
        self._evaluator = evaluator

    def watch(self, *times: datetime) -> None:
        library = Library(str(self.path / "polytope.yml"), directory=str(self.path))
        begin: Callable[[Trigger, Call], str] = self.begin
        last = times[-1] + timedelta(seconds=1)
        Watching(library, self._evaluator, f"{self.path}/state", Sundial(*times, last), begin, self.told.append).run()

    def begin(self, trigger: Trigger, call: Call) -> str:
        self.begun.append((trigger.id, call))
        return f"job-{trigger.id}"

    def lines(self, what: str) -> list[object]:
        return [one.get("trigger") for one in self.told if one["what"] == what]


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator() as made:
        yield made


@pytest.fixture
def stage(tmp_path: Path, evaluator: Evaluator) -> Stage:
    (tmp_path / "polytope.yml").write_text(FILE)
    return Stage(tmp_path, evaluator)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 5, day, hour, minute)


def test_what_is_due_begins_once_with_what_its_template_takes(stage: Stage) -> None:
    stage.watch(at(4, 2, 59), at(4, 3), at(4, 3, 0), *(at(4, hour) for hour in range(4, 9)))
    assert [trigger for trigger, _ in stage.begun] == ["night", "weekday", "placed", "made", "named"]
    calls = dict(stage.begun)
    assert calls["night"].args == {} and calls["named"].reference == "nightly"
    event = {"type": "schedule", "schedule": "0 4 * * *", "time": "2026-05-04T04:00:00"}
    assert calls["weekday"].args == {"event": event}
    for name in ("placed", "made"):
        scope = calls[name].file
        assert scope is not None
        found = next(noun for noun in scope.nouns if noun.id == calls[name].reference)
        assert isinstance(found, Template) and [step.call for step in found.run] == ["a"]
        assert "event" in calls[name].args  # what is written in place has it without declaring it
    assert stage.lines("failed") == ["wrong"]  # and the others went on


def test_a_condition_that_is_not_true_begins_nothing(stage: Stage) -> None:
    stage.watch(at(6, 3, 59), at(6, 4))
    assert not stage.begun and stage.lines("skipped") == ["weekday"]


def test_a_restart_repeats_nothing_and_reports_what_was_missed(stage: Stage) -> None:
    stage.watch(at(4, 2, 59), at(4, 3))
    stage.watch(at(4, 3), at(4, 3, 1))
    assert len(stage.begun) == 1
    stage.watch(at(5, 3) + timedelta(seconds=20))  # nobody watched just before, either
    stage.watch(at(6, 3))
    assert [trigger for trigger, _ in stage.begun] == ["night", "night"]
    rest = ["weekday", "placed", "made", "named", "wrong"]
    assert stage.lines("missed") == ["night", *rest, *rest]


def test_a_file_without_triggers_is_refused(stage: Stage) -> None:
    (stage.path / "polytope.yml").write_text("modules: []\n")
    with pytest.raises(Missing, match="no triggers"):
        stage.watch(at(4, 3))
