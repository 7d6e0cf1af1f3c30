"""Command-line scenarios of the original engine: the same files, the same commands, the same standard output."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.conformance import CONFORMANCE, load, needs_conformance
from support.repositories import Repo
from support.world import World

pytestmark = [needs_conformance, pytest.mark.both]

SCENARIOS = [
    "runall",
    "checkformula",
    "checkmodule",
    "checkplot",
    "runformula",
    "base-workspace/then-runmodule",
    "base-workspace/then-mirror",
    "plan-generate",
    "plan-generate/then-cat",
    "plan-generate/then-dir",
    "plan-generate/then-dir/then-cat",
    "plan-generate/then-pwd",
    "plan-generate/then-pwd/then-cat",
    "plan-generate/then-recursive",
    "plan-generate/then-recursive/then-cat",
    "catalog",
    "catalog/then-ls",
    "base-workspace/then-generatehtml",
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
    """Run the scenario, compare."""
    status = int(scenario.get("exitcode", 0))
    out = act(world, scenario, status)
    if "stdout" in scenario:
        assert values(out) == values(scenario["stdout"])
    elif "output" in scenario and not status:
        assert words(out) == words(scenario["output"])


def act(world: World, scenario: dict[str, Any], status: int = 0) -> str:
    """Lay out the files, run what comes before, run the scenario."""
    for path, content in scenario["fs"].items():
        world.write(path, content)
    for line in scenario["before"]:
        say(world, line)
    return say(world, scenario.get("sequence") or scenario["script"], status)


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


# these name a repository on the network: one of this machine stands in, so the commit is another
FROM_A_REPOSITORY = ["catalog-git", "catalog-git/then-check"]
COMMIT = re.compile(r"git:[0-9a-f]{40}|zM5K3[0-9A-Za-z]+")


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(world: World, needs_box: None, name: str) -> None:
    play(world, load("cli-scenarios.json")[name])


@pytest.mark.parametrize("name", FROM_A_FILE)
def test_scenario_from_a_file(world: World, name: str) -> None:
    (ware,) = (path for path in (CONFORMANCE / "warehouse").rglob("*") if path.is_file())
    play(world, elsewhere(load("cli-scenarios.json")[name], f"file://{ware}"))


@pytest.mark.parametrize("name", FROM_A_REPOSITORY)
def test_scenario_from_a_repository(world: World, tmp_path: Path, name: str) -> None:
    repository = Repo(tmp_path / "repository")
    commit = repository.commit({"file": "content"})
    repository.git("tag", "v1.0")
    scenario = elsewhere(load("cli-scenarios.json")[name], f"file://{repository.path}")
    said = act(world, scenario)
    assert words(COMMIT.sub("...", said)) == words(COMMIT.sub("...", scenario.get("output", "")))
    if said:
        assert f"git:{commit}" in said


def test_scenario_help(world: World) -> None:
    """Of the page only the options are compared: the words are ours."""
    scenario = load("cli-scenarios.json")["ware_unpack"]
    options = re.findall(r"^#### (--[a-z-]+)", scenario["output"], re.MULTILINE)
    said = say(world, scenario["sequence"])
    assert options and all(option in said for option in options)
