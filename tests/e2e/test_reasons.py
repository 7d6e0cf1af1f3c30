"""``warpforge why`` and ``run --explain``: what changed, and what that was a consequence of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.plots import plot, script, subplot
from support.world import Result, World


def of_a(text: str) -> dict[str, Any]:
    return script(
        "mkdir /out",
        f"set -e\ncat /src/x\necho {text} > /out/x",
        inputs={"/src": "ingest:dir:src"},
        outputs={"o": "/out"},
    )


def steps(**changed: Any) -> dict[str, Any]:
    return {
        "a": of_a("one"),
        "deep": subplot(
            {"rootfs": "pipe::rootfs", "in": "pipe:a:o"},
            {"b": script("mkdir /out", "cp /in/x /out/y", inputs={"/in": "pipe::in"}, outputs={"o": "/out"})},
            {"out": "pipe:b:o"},
        ),
        "c": script("cat /in/y", inputs={"/in": "pipe:deep:out"}),
        **changed,
    }


def write(world: World, **changed: Any) -> None:
    world.write("plot.wf", plot(steps(**changed)))


@pytest.fixture
def ran(box_world: World) -> World:
    box_world.write("src/x", "x\n")
    box_world.write("src/same", "same\n")
    write(box_world)
    box_world.run("run")
    return box_world


OTHER = of_a("two")


def ask(world: World, step: str, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = world.run("--json", "why", step, *args).one("why")
    return found


def explained(result: Result) -> dict[str, dict[str, Any]]:
    return {reason["step"]: reason for reason in result.all("why")}


@pytest.mark.both
def test_a_changed_line_and_its_consequences(ran: World) -> None:
    write(ran, a=OTHER)
    told = ask(ran, "a")
    assert (told["state"], told["verdict"]) == ("run", "changed")
    [change] = told["changes"]
    assert (change["at"], change["old"], change["new"]) == (
        "script entry 2 line 3",
        "echo one > /out/x",
        "echo two > /out/x",
    )
    waits = ask(ran, "c")
    assert (waits["state"], waits["verdict"]) == ("waits", "waits")
    [change] = waits["changes"]
    assert change["cause"]["step"] == "deep/b"
    assert change["cause"]["changes"][0]["cause"]["changes"][0]["at"] == "script entry 2 line 3"
    reasons = explained(ran.run("--json", "run", "--explain"))
    assert reasons.keys() == {"a", "deep/b", "c"}
    [of_c] = reasons["c"]["changes"]
    [of_b] = of_c["cause"]["changes"]
    [of_a] = of_b["cause"]["changes"]
    assert (of_c["cause"]["step"], of_b["cause"]["step"], of_a["at"]) == ("deep/b", "a", "script entry 2 line 3")
    after = ask(ran, "c")
    assert (after["state"], after["verdict"], after["changes"]) == ("hit", "changed", reasons["c"]["changes"])
    said = ran.run("why", "c").out
    assert "a consequence" in said
    assert "so it comes from: script entry 2 line 3 of step a" in said


def test_changed_files_of_an_ingest(ran: World) -> None:
    ran.write("src/x", "changed\n")
    ran.write("src/new", "")
    [change] = ask(ran, "a")["changes"]
    assert (change["at"], change["origin"]) == ("input /src", "ingest:dir:src")
    assert [line.split()[:2] for line in change["files"]] == [["+", "new"], ["~", "x"]]
    ran.run("run")
    assert ask(ran, "a")["changes"] == [change]
    assert "~ x  content (2 -> 8 bytes)" in ran.run("why", "a").out


def test_another_release_and_a_release_that_says_something_else(ran: World) -> None:
    world = ran
    world.write("root/hello", "hello\n")
    for number in (1, 2):
        world.write("root/hello", "hello\n" * number)
        world.run("ware", "pack", "--to", f"file://{world.root}/{number}.ztar", "root")
        ref = f"example.org/x:v{number}:it"
        world.run("catalog", "--name", "test", "add", "tar", "-t", "ztar", ref, f"{number}.ztar")
    for number in (1, 2):
        write(world, c=script("cat /x/hello", inputs={"/x": f"catalog:example.org/x:v{number}:it"}))
        if number == 1:
            world.run("run")
    [change] = ask(world, "c")["changes"]
    assert (change["origin"], change["old_origin"]) == ("catalog:example.org/x:v2:it", "catalog:example.org/x:v1:it")
    assert change["files"] == ["~ hello  content (6 -> 12 bytes)"]


def test_what_has_never_run_and_what_nothing_changed_for(ran: World) -> None:
    write(ran, new=script("true"))
    assert ask(ran, "new")["verdict"] == "first"
    assert ask(ran, "a")["verdict"] == "first", "its only run was the first"
    ran.run("run", "--force")
    told = ask(ran, "a")
    assert (told["state"], told["verdict"]) == ("hit", "same")
    assert "force" in told["note"]


def test_after_a_failure_nothing_needs_to_change(ran: World) -> None:
    write(ran, bad=script("exit 3"))
    ran.fail("run")
    told = ask(ran, "bad")
    assert (told["state"], told["verdict"]) == ("run", "same")
    assert "failed" in told["note"]
    assert "3" in told["note"]


def test_what_the_memo_never_answers(ran: World) -> None:
    mounted = script("ls /m", inputs={"/m": "mount:ro:src"})
    write(ran, m=mounted)
    ran.run("run")
    assert "mount" in ask(ran, "m")["note"]


def test_a_step_that_gives_another_result_from_the_same_formula_is_named(ran: World) -> None:
    random = script("mkdir /out", "head -c 16 /dev/urandom > /out/x", outputs={"o": "/out"})
    write(ran, a=random)
    ran.run("run")
    ran.run("run", "--force")
    [change] = ask(ran, "deep/b")["changes"]
    assert change["cause"]["verdict"] == "same"
    assert "not reproducible" in change["cause"]["note"]


def test_the_step_is_compared_with_what_the_memo_said_in_between(ran: World) -> None:
    write(ran, a=OTHER)
    ran.run("run")
    write(ran)
    ran.run("run")  # from the memo: now the first version is the last one
    write(ran, a=of_a("three"))
    [change] = ask(ran, "a")["changes"]
    assert (change["old"], change["new"]) == ("echo one > /out/x", "echo three > /out/x")


def test_lines_of_older_programs_are_compared_by_their_inputs(ran: World) -> None:
    for path in ran.path(".warpforge/runs").glob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            for key in ("formula", "origins", "phases", "invocation"):
                line.pop(key, None)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines if "begun" not in line))
    ran.write("src/x", "changed\n")
    told = ask(ran, "a")
    assert [change["at"] for change in told["changes"]] == ["input /src"]
    assert "whole formula" in told["note"]


def test_a_formula_that_stands_alone(ran: World) -> None:
    def formula(text: str) -> dict[str, Any]:
        inputs = {"$X": f"literal:{text}"}
        return {"formula": {"formula.v1": {"inputs": inputs, "action": {"echo": {}}, "outputs": {}}}}

    ran.write("f.json", formula("one"))
    ran.run("run", "f.json")
    assert ask(ran, "formula", "f.json")["verdict"] == "first"
    ran.write("f.json", formula("two"))
    [change] = ask(ran, "formula", "f.json")["changes"]
    assert (change["at"], change["old"], change["new"]) == ("input $X", "literal:one", "literal:two")


def test_names_that_are_wrong_or_mean_several(ran: World) -> None:
    assert "deep/b" in ran.fail("why", "nope").error["message"]
    inner = steps()["deep"]["plot"]
    write(ran, other=subplot(inner["inputs"], inner["steps"], inner["outputs"]))
    assert "several" in ran.fail("why", "b").error["message"]
    assert ask(ran, "deep/b")["state"] == "hit"


def test_a_formula_too_large_for_the_log(ran: World) -> None:
    write(ran, big=script("true # " + "x" * 70_000))
    ran.run("run")
    write(ran, big=script("true # " + "y" * 70_000))
    assert "whole formula" in ask(ran, "big")["note"]


def test_a_step_with_a_secret_has_no_id_and_is_compared_all_the_same(ran: World) -> None:
    def write_secret(text: str) -> None:
        write(ran, s=script(f"echo {text} | wc -c", inputs={"$TOKEN": "secret:TOKEN"}))

    env = {"TOKEN": "a-value-that-nobody-sees"}
    write_secret("one")
    ran.run("run", "--secret", "TOKEN=env:TOKEN", env=env)
    assert ask(ran, "s")["verdict"] == "same"
    write_secret("two")
    [change] = ask(ran, "s")["changes"]
    assert change["new"].startswith("echo two")
    assert env["TOKEN"] not in ran.run("report", "-o", "-").out
