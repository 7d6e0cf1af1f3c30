"""What a command imports that touches only memoised work: the start-up budget."""

from __future__ import annotations

import re
import sys

import pytest
from support.plots import plot, script
from support.terminal import Terminal
from support.world import World

WATCH = {"PYTHONPROFILEIMPORTTIME": "1"}
FAR = {"structlog", "rich", "grpc", "boto3", "botocore", "urllib3", "opentelemetry", "requests"}
HEAVY = {*FAR, "zstandard", "blake3"}
WANTED = {"click", "msgspec", "typing_extensions", "warpforge", "lmdb"}  # the third by msgspec, where it is there


def packages(text: str) -> set[str]:
    """The top-level packages that are not the standard library's, of what the interpreter says of its imports."""
    names = {line.rpartition("|")[2].strip() for line in re.findall(r"import time:.*", text)}
    tops = {name.partition(".")[0] for name in names}
    found = {top for top in tops if top and top not in sys.stdlib_module_names and not top.startswith("_")}
    return found - {"imported package", "sitecustomize", "usercustomize", "apport_python_hook"}  # the last: Debian's


@pytest.fixture
def ran(box_world: World) -> World:
    steps = {
        "a": script("mkdir /out", "echo x > /out/x", outputs={"o": "/out"}),
        "b": script("cat /in/x", inputs={"/in": "pipe:a:o"}),
    }
    box_world.write("plot.wf", plot(steps, {"r": "pipe:a:o"}))
    box_world.run("run")
    return box_world


@pytest.mark.parametrize("args", [["run"], ["--json", "run"], ["run", "-j", "3", "--quiet"], ["--verbose", "run"]])
def test_a_run_that_the_memo_answers_imports_little(ran: World, args: list[str]) -> None:
    found = packages(ran.run(*args, env=WATCH).err)
    assert "warpforge" in found
    assert found & HEAVY == set()
    assert found <= WANTED, found


def test_also_on_a_terminal(ran: World) -> None:
    terminal = Terminal(ran, "run", columns=200, env=WATCH)
    assert terminal.end() == 0
    found = packages(terminal.raw.decode(errors="replace").replace("\r", ""))
    assert "warpforge" in found
    assert found & HEAVY == set()


@pytest.mark.parametrize("args", [["plan"], ["log"], ["why", "a"], ["status"], ["report", "-o", "-"]])
def test_telling_what_happened_needs_no_network_nor_pictures(ran: World, args: list[str]) -> None:
    found = packages(ran.run(*args, env=WATCH).err)
    assert found & FAR == set()


def test_the_watch_sees_what_is_imported(ran: World) -> None:
    found = packages(ran.run("run", "--force", "--trace.file", "t", env=WATCH).err)
    assert found >= {"opentelemetry", "blake3", "zstandard"}
