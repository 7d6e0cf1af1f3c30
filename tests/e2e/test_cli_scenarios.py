"""Command-line scenarios of the original engine: the same files, the same commands, the same standard output."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import Any

import pytest
from support.conformance import CONFORMANCE, load, needs_conformance
from support.world import World

pytestmark = [needs_conformance, pytest.mark.both]

SCENARIOS = [
    "runall",
    "checkformula",
    "checkmodule",
    "checkplot",
    "runformula",
    "base-workspace/then-runmodule",
    "catalog",
    "catalog/then-ls",
    "unpack",
    "unpack/then-ls",
    "unpack/then-unpack-again",
    "unpack/then-unpack-to-path",
    "unpack/then-unpack-to-path/then-ls",
]
# their last command, or one before it, asks a host on the network: the ware is given as a file instead
FROM_A_FILE = ["catalog/then-add-tar", "catalog/then-add-tar/then-check"]
ADDRESS = re.compile(r"https://[^\s\"]+")
VARYING = ("guid", "time")


def play(world: World, scenario: dict[str, Any]) -> None:
    """Lay out the files, run what comes before, run the scenario, compare."""
    for path, content in scenario["fs"].items():
        world.write(path, content)
    for line in scenario["before"]:
        say(world, line)
    status = int(scenario.get("exitcode", 0))
    out = say(world, scenario.get("sequence") or scenario["script"], status)
    if "stdout" in scenario:
        assert values(out) == values(scenario["stdout"])
    elif "output" in scenario and not status:
        assert words(out) == words(scenario["output"])


def elsewhere(scenario: dict[str, Any], address: str) -> dict[str, Any]:
    """The scenario with another address in all its commands and outputs."""
    return {
        **scenario,
        "before": [ADDRESS.sub(address, line) for line in scenario["before"]],
        **{key: ADDRESS.sub(address, scenario[key]) for key in ("sequence", "script", "output") if key in scenario},
    }


def say(world: World, script: str, status: int = 0) -> str:
    """A line of the scenario: one command of ours, or a shell script."""
    if script.startswith("warpforge "):
        env = {"WARPFORGE_WAREHOUSE": str(CONFORMANCE / "warehouse")}
        result = world.call(*shlex.split(script)[1:], env=env)
        assert result.exit == status, str(result)
        return result.out
    done = subprocess.run(["sh", "-c", script], cwd=world.root, capture_output=True, text=True, check=True)
    return done.stdout


def words(text: str) -> list[Any]:
    """The text as JSON values where it is JSON, otherwise as lines."""
    try:
        return values(text)
    except json.JSONDecodeError:
        return text.split()


def values(text: str) -> list[Any]:
    """Every JSON value of a text, what varies from run to run masked."""
    decoder, found, text = json.JSONDecoder(), [], text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        found.append(masked(value))
        text = text[end:].strip()
    return found


def masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "..." if key in VARYING else masked(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(world: World, needs_box: None, name: str) -> None:
    play(world, load("cli-scenarios.json")[name])


@pytest.mark.parametrize("name", FROM_A_FILE)
def test_scenario_from_a_file(world: World, name: str) -> None:
    (ware,) = (path for path in (CONFORMANCE / "warehouse").rglob("*") if path.is_file())
    play(world, elsewhere(load("cli-scenarios.json")[name], f"file://{ware}"))
