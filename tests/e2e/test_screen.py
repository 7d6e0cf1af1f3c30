"""The live screen on a real terminal: what stays, what goes, and what a terminal is left like."""

from __future__ import annotations

from typing import Any

import pytest
from support.plots import plot, script
from support.terminal import Terminal
from support.world import World

WAIT = "while [ ! -e /go/{} ]; do sleep 0.05; done"


def waiting(*lines: str, until: str = "end", **inputs: str) -> dict[str, Any]:
    """A step that says these lines, and then waits until the test lets it go on."""
    return script(*lines, WAIT.format(until), inputs={"/go": "mount:ro:go", **inputs})


@pytest.fixture
def going(box_world: World) -> World:
    box_world.write("go/keep", "")
    return box_world


def test_what_runs_is_shown_and_then_gone(going: World) -> None:
    going.write("plot.wf", plot({"one": waiting("echo said by one"), "two": waiting("echo said by two")}))
    terminal = Terminal(going, "run", "-j", "2")
    terminal.until(lambda: any("said by one" in line for line in terminal.lines))
    terminal.until(lambda: any("said by two" in line for line in terminal.lines))
    head = next(line for line in terminal.lines if line.startswith("0/2"))
    assert "2 running" in head
    assert terminal.screen.cursor.hidden
    going.write("go/end", "")
    assert terminal.end() == 0
    assert not terminal.screen.cursor.hidden
    assert not any("said by" in line or "running" in line or "▸" in line for line in terminal.all_lines)
    assert [line.split()[0] for line in terminal.all_lines] == ["ok", "ok", "run", "all"]


def test_a_window_that_becomes_narrow_is_left_clean(going: World) -> None:
    going.write("plot.wf", plot({"one": waiting("echo a line that is a good deal longer than the window will be")}))
    terminal = Terminal(going, "run", columns=100)
    terminal.until(lambda: any("a good deal longer" in line for line in terminal.lines))
    terminal.resize(30, 10)
    drawn = len(terminal.raw)
    # what was read last may be a part of a picture
    terminal.until(
        lambda: terminal.raw.count(b"\x1b[2K", drawn) > 20 and all(len(line) <= 28 for line in terminal.lines)
    )
    going.write("go/end", "")
    assert terminal.end() == 0
    assert [line.split()[0] for line in terminal.all_lines if not line.startswith(" ")][:1] == ["ok"]


def test_an_interrupt_leaves_the_terminal_as_it_was(going: World) -> None:
    going.write("plot.wf", plot({"one": waiting("echo here"), "two": waiting("echo there")}))
    terminal = Terminal(going, "run", "-j", "2")
    for word in (" here", " there"):
        terminal.until(lambda word=word: any(line.endswith(word) for line in terminal.lines))  # type: ignore[misc]
    terminal.keys(b"\x03")
    assert terminal.end() == 130
    assert not terminal.screen.cursor.hidden
    assert sum("interrupted" in line for line in terminal.all_lines) == 2
    assert not any("▸" in line for line in terminal.all_lines)


def test_what_an_action_writes_cannot_draw_on_the_screen(going: World) -> None:
    moves = "printf '\\033[2J\\033[10;10Hmoved\\033]0;title\\007\\n\\033[?1049h'"
    going.write("plot.wf", plot({"evil": waiting(moves, "head -c 200 /dev/urandom; echo", "echo at the end")}))
    terminal = Terminal(going, "run")
    terminal.until(lambda: any("at the end" in line for line in terminal.lines))
    assert b"\x1b[2J" not in terminal.raw
    assert b"\x1b]0;" not in terminal.raw
    assert b"\x1b[?1049h" not in terminal.raw
    going.write("go/end", "")
    assert terminal.end() == 0


def test_a_failure_shows_its_last_lines_and_the_table_who_failed(going: World) -> None:
    lines = [f"echo line {number}" for number in range(40)]
    going.write("plot.wf", plot({"bad": script(*lines, "echo wrong >&2; exit 3"), "good": script("true")}))
    terminal = Terminal(going, "run", "-k", rows=50)
    assert terminal.end() == 1
    assert "bad | wrong" in terminal.all_lines
    assert "bad | line 39" in terminal.all_lines
    assert "bad | line 5" not in terminal.all_lines
    assert any(line.split()[:3] == ["failed", "1", "bad"] for line in terminal.all_lines)


def test_what_the_memo_saved_is_told(going: World) -> None:
    going.write("plot.wf", plot({"one": script("sleep 0.2"), "two": script("echo")}))
    Terminal(going, "run").end()
    terminal = Terminal(going, "run")
    assert terminal.end() == 0
    hit = next(line for line in terminal.all_lines if line.startswith("hit"))
    assert "saved" in hit
    assert b"\x1b" not in terminal.raw, "nothing was drawn"


def test_a_terminal_that_can_do_nothing_gets_lines(going: World) -> None:
    going.write("plot.wf", plot({"one": script("echo hello")}))
    done = going.run("run", env={"TERM": "dumb"})
    assert "one | hello" in done.err
