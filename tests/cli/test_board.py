"""What the live screen shows, without a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from support.plots import plot, script

from warpforge.cli.board import Board
from warpforge.cli.plain import plain
from warpforge.cli.summary import summary
from warpforge.cli.tail import Tail
from warpforge.engine.events import PlotBegan, StepFailed, StepFinished, StepPhase, StepSkipped, StepStarted, WareMoving
from warpforge.engine.history import History
from warpforge.engine.job import Where
from warpforge.errors import Failed
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.run import RunRecord
from warpforge.model.serial import load_plot
from warpforge.plan.plan import Plan, StepPath
from warpforge.plan.refs import refs
from warpforge.store.run_entry import RunEntry

WHERE = Where(Path("/w/plot.wf"))
RECORD = RunRecord("guid", 0, "z", 0, {})


def plan(count: int, *, chain: bool = False) -> Plan:
    def inputs(number: int) -> dict[str, str]:
        return {"/in": f"pipe:s{number - 1}:o"} if chain and number else {}

    steps = {f"s{n}": script("x", inputs=inputs(n), outputs={"o": "/o"}) for n in range(count)}
    noun = load_plot(json.dumps(plot(steps)).encode(), "plot").noun
    return Plan(noun, {ref: WareId("ztar", "abc") for ref in refs(noun) if isinstance(ref, CatalogRef)})


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def text(board: Board, width: int = 100, height: int = 30, tails: dict[StepPath, Tail] | None = None) -> list[str]:
    return ["".join(piece for piece, _ in row) for row in board.picture(width, height, tails or {})]


def test_counts_of_everything() -> None:
    clock = Clock()
    board = Board(2, clock)
    board.hear(PlotBegan(plan(6), WHERE))
    board.hear(StepFinished(("s0",), RECORD, hit=True, seconds=0))
    board.hear(StepFinished(("s1",), RECORD, hit=False, seconds=3))
    board.hear(StepFailed(("s2",), Failed("interrupted", "x"), None))
    board.hear(StepSkipped(("s3",), ("s2",)))
    board.hear(StepPhase(("s4",), "supply", 0.0, None))
    clock.now = 65.0
    head, step = text(board)
    assert head.startswith("4/6 ")
    for words in ("1 hit", "1 done", "1 running", "1 waiting", "1 failed", "1 skipped", "1:05"):
        assert words in head
    assert step.startswith("▸ s4")
    assert step.endswith("supply")


def test_the_time_left_is_that_of_earlier_runs_in_a_schedule() -> None:
    clock = Clock()
    board = Board(2, clock)
    known = {"duration": 10.0, "exit_code": 0, "document": "/w/plot.wf"}
    entries = [msgspec.convert({"id": f"i{n}", "step": [f"s{n}"], **known}, RunEntry) for n in range(4)]
    board.hear(PlotBegan(plan(4, chain=True), WHERE))
    assert board.left() is None
    clock.now = 5.0
    board.learn(History(entries))
    board.hear(StepStarted(("s0",), "z", "run"))
    assert board.left() == 40.0
    clock.now = 9.0
    assert board.left() == 36.0
    board.learn(History(entries[:3]))
    clock.now = 12.0
    assert board.left() is None, "one step's time is not known"


def test_transfers_have_bytes_speed_and_time() -> None:
    clock = Clock()
    board = Board(1, clock)
    ware = WareId("ztar", "a" * 40)
    board.hear(WareMoving(ware, "https://mirror", 0, 100_000_000))
    clock.now = 2.0
    board.hear(WareMoving(ware, "https://mirror", 20_000_000, 100_000_000))
    [_, row] = text(board, 120)
    assert "20.0 of 100.0 MB" in row
    assert "10.0 MB/s" in row
    assert "8 s left" in row
    assert "https://mirror" in row
    board.hear(WareMoving(ware, "https://mirror", 100_000_000, 100_000_000))
    assert len(text(board)) == 1


def test_with_more_steps_than_rows_the_oldest_are_shown_and_the_others_counted() -> None:
    clock = Clock()
    board = Board(200, clock)
    board.hear(PlotBegan(plan(200), WHERE))
    tails: dict[StepPath, Tail] = {}
    for number in range(200):
        clock.now = float(number)
        board.hear(StepStarted((f"s{number}",), "z", "run"))
        tails[(f"s{number}",)] = Tail()
        tails[(f"s{number}",)].add("out", b"first\nlast of %d\n" % number)
    shown = text(board, 80, 20, tails)
    assert len(shown) == 20
    assert shown[1].startswith("▸ s0")
    assert shown[1].endswith("last of 0")
    assert shown[-1] == "  and 182 more running"


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 40), st.integers(0, 30))
def test_no_picture_is_higher_than_the_screen(width: int, height: int, running: int) -> None:
    board = Board(4, Clock())
    tails: dict[StepPath, Tail] = {}
    for number in range(running):
        step = (f"step-with-a-long-name-{number}",)
        board.hear(StepStarted(step, "z", "run"))
        tails[step] = Tail()
        tails[step].add("out", b"x" * 200 + b"\n" + "漢字".encode() * 90 + b"\n")
    rows = board.picture(width, height, tails)
    assert 1 <= len(rows) <= height
    assert all("\n" not in piece for row in rows for piece, _ in row)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[31mred\x1b[0m \x1b[1;38;5;4mblue\x1b[m", "red blue"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[2J\x1b[Hhome\x1b[K", "home"),
        ("10%\r20%\r100%", "100%"),
        ("100%\r", "100%"),
        ("a\tb", "a       b"),
        ("bell\a nul\0", "bell\\x07 nul\\x00"),
        ("ab\b\bcd", "cd"),
        ("\x1b(Bplain\x1b=", "plain"),
        ("half \x1b[", "half "),
        ("rtl \u202e", "rtl \\u202e"),
    ],
)
def test_escape_sequences_do_not_reach_the_screen(line: str, shown: str) -> None:
    assert plain(line) == shown


@given(st.text(max_size=60))
def test_nothing_that_moves_a_cursor_is_left(line: str) -> None:
    assert plain(line).isprintable()
    assert cell_len(plain(line)) >= 0


def test_the_table_at_the_end() -> None:
    board = Board(1)
    board.hear(PlotBegan(plan(5), WHERE))
    board.learn(History([RunEntry(id="guid", duration=90.0, exit_code=0)]))
    board.hear(StepFinished(("s0",), RECORD, hit=True, seconds=0))
    board.hear(StepFinished(("s1",), RECORD, hit=False, seconds=3))
    board.hear(StepFailed(("s2",), Failed("interrupted", "x"), None))
    rows = {line.split()[0]: line for line in summary(board, None)}
    assert "1:30 saved" in rows["hit"]
    assert "3.0 s" in rows["run"]
    assert "s2" in rows["failed"]
    assert rows["not"].split()[:3] == ["not", "done", "2"]
    assert rows["all"].split()[1] == "5"
    assert list(summary(Board(1), None)) == []
