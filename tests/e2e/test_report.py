"""``warpforge report``: one page that says it all, looked at in a real browser."""

from __future__ import annotations

import re
from html import unescape

import pytest
from support.browser import look
from support.plots import plot, script, subplot
from support.world import World

EVIL = "<script>alert(1)</script><img src=http://evil.example/x>"


@pytest.fixture
def ran(box_world: World) -> World:
    box_world.write("src/x", "x\n")
    write(box_world, "one")
    box_world.run("run")
    write(box_world, "two")
    box_world.fail("run")
    return box_world


def write(world: World, text: str) -> None:
    steps = {
        "make": script(
            "mkdir /out",
            f"echo {text} > /out/x",
            "printf '\\033[31mmaking\\033[0m\\n'",
            f"echo '{EVIL}'",
            inputs={"/src": "ingest:dir:src"},
            outputs={"o": "/out"},
        ),
        "deep": subplot(
            {"rootfs": "pipe::rootfs", "in": "pipe:make:o"},
            {"use-with-a-name-that-is-rather-long-for-a-phone": script("cat /in/x", inputs={"/in": "pipe::in"})},
            {},
        ),
        "quiet": script("true", inputs={"/m": "mount:ro:src"}),
        "same": script("true"),
        "bad": script(
            "echo about to fail", "sleep 0.5", "exit 7" if text == "two" else "true", inputs={"/in": "pipe:make:o"}
        ),
    }
    world.write("plot.wf", plot(steps, {"r": "pipe:make:o"}))


def test_the_page_on_a_phone_and_on_a_desk(ran: World) -> None:
    ran.run("report")
    for width in (360, 1000):
        found = look(ran.path("report.html"), width)
        assert found["scroll"] <= found["width"], f"at {width} pixels the page must be pushed sideways"
        assert found.asked == [], "it asked for more"
        assert found["scripts"] == 0
        assert float(found["font"].removesuffix("px")) >= 14
        assert found["boxes"] == 5
        assert found["bars"]
        assert min(found["bars"]) > 0
        assert {link for link in found["links"] if link} >= {f"#step-{number}" for number in range(5)}
        assert len(found["open"]) == 1, "what failed is open"
        text = found["text"]
        for words in ("Graph", "Timeline", "Steps", "Hermeticity", "about to fail", "exit code 7"):
            assert words in text, words


def test_it_says_why_what_and_from_what(ran: World) -> None:
    page = unescape(ran.run("report", "-o", "-").out)
    assert "script entry 2" in page
    assert "+ echo two > /out/x" in page
    assert "a consequence" in page
    assert "input /in, pipe:make:o" in page
    assert "ingest:dir:src" in page
    assert "is not hermetic: mount at /m" in page
    assert "catalog:warpsys.org/busybox" in page
    [made] = ran.run("--json", "log", "--step", "make", "-n", "1").all("run")
    for text in (made["id"], made["formula_id"], made["outputs"]["o"], made["inputs"]["/src"]):
        assert text in page, text
    assert "1 from the memo" in re.sub(r"<[^>]+>", " ", page).replace("  ", " ") or "from the memo" in page


def test_what_was_said_is_text_and_nothing_else(ran: World) -> None:
    page = ran.run("report", "-o", "-").out
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\x1b" not in page
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"', page)
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "").replace("http://evil.example", "")


def test_one_of_several_commands_is_found_by_its_id_or_a_runs(ran: World) -> None:
    runs = ran.run("--json", "log").all("run")
    first, last = runs[-1], runs[0]
    assert first["invocation"] != last["invocation"]
    for what in (first["invocation"], first["invocation"][:8], first["id"], first["id"][:8]):
        page = ran.run("report", what, "-o", "-").out
        assert first["invocation"] in page, what
        assert "exit code 7" not in page
    assert ran.fail("report", "nonesuch").code == "missing"


def test_a_command_that_was_killed_is_told_from_its_runs(ran: World) -> None:
    last = ran.run("--json", "log").all("run")[0]["invocation"]
    [record] = ran.path(".warpforge/runs/invocations").glob(f"*-{last}.json")
    record.unlink()
    page = ran.run("report", last, "-o", "-").out
    assert last in page
    assert "exit code 7" in page


def test_nothing_has_run_yet(box_world: World) -> None:
    assert box_world.fail("report").code == "missing"
    box_world.write("f.json", {"formula": {"formula.v1": {"inputs": {}, "action": {"echo": {}}, "outputs": {}}}})
    box_world.run("run", "f.json")
    assert "formula" in box_world.run("report", "-o", "-").out
    assert box_world.fail("report", "-o", "no/such/place").code == "store"
