"""Whatever a command writes under --json fits the schema of its kind; every kind that the product can write has one.

``world.run("--json", ...)`` of every other test is held against the schemas, too.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from jsonschema import Draft202012Validator
from support.jsonlines import check_line
from support.plots import BUSYBOX, plot, script, step, subplot
from support.world import World

import warpforge
from warpforge.cli.schemas import every_line, kinds, schema
from warpforge.engine.forecast import Forecast, StepForecast, WareForecast
from warpforge.plan.why import Change, Reason
from warpforge.store.run_entry import RunEntry

CLI = Path(warpforge.__file__).parent / "cli"


def test_every_schema_is_one_and_says_what_it_is_for() -> None:
    for kind in kinds():
        Draft202012Validator.check_schema(schema(kind))
        assert schema(kind)["title"] == kind
        assert len(schema(kind)["description"]) > 10
    Draft202012Validator.check_schema(every_line())


def test_every_kind_that_is_written_has_a_schema() -> None:
    written: set[str] = set()
    for path in CLI.glob("*.py"):
        text = path.read_text()
        written |= {*re.findall(r'to_json\(\s*\{"(\w+)"', text), *re.findall(r'_(?:more|out)\(\{?"(\w+)"', text)}
    assert written - {*kinds()} == set(), "warpforge/schema/KIND.json is missing: see docs/json.md"
    assert len(written) > 25


@pytest.mark.parametrize(
    ("kind", "noun"),
    [
        ("run", RunEntry),
        ("plan", Forecast),
        ("plan", StepForecast),
        ("plan", WareForecast),
        ("why", Reason),
        ("why", Change),
    ],
)
def test_schemas_of_our_nouns_know_all_their_fields(kind: str, noun: type[msgspec.Struct]) -> None:
    known = schema(kind)["$defs"][noun.__name__]["properties"]
    fields = {field.encode_name for field in msgspec.structs.fields(noun)}
    added = {"state"} if noun is Reason else set()  # a line about a reason also says what would happen now
    assert fields | added == {*known}, f"warpforge/schema/{kind}.json"
    assert get_type_hints(noun)


@pytest.fixture
def full(box_world: World) -> World:
    box_world.write("src/x", "x\n")
    box_world.write("module.wf", {"module.v1": {"name": "example.org/it"}})
    box_world.write(
        "plot.wf",
        plot(
            {
                "a": script("mkdir /out", "cp /src/x /out", inputs={"/src": "ingest:dir:src"}, outputs={"o": "/out"}),
                "deep": subplot(
                    {"rootfs": "pipe::rootfs", "in": "pipe:a:o"},
                    {"b": script("cat /in/x; printf '\\377'", inputs={"/in": "pipe::in"}, outputs={"o": "/in"})},
                    {},
                ),
                "nothing": step({"noop": {}}, {"$L": "literal:text"}, None),
            },
            {"r": "pipe:a:o"},
        ),
    )
    return box_world


def test_running_and_what_comes_of_it(full: World) -> None:
    first = full.run("--json", "run", "--explain")
    assert {*(kind for line in first.lines for kind in line)} >= {
        "ingested",
        "why",
        "started",
        "finished",
        "runrecord",
        "plotresults",
    }
    assert len(first.all("plotresults")) == 2, "the subplot's, too"
    assert '{"output":' in first.err
    [released] = full.run("--json", "plan").all("plan")
    assert released["counts"] == {"hit": 3}
    full.run("--json", "why", "b")
    for args in ([], ["a"], ["--failed", "--since", "1h"]):
        full.call("--json", "log", *args)
    ware = full.run("--json", "--quiet", "run").all("plotresults")[-1]["r"]
    for args in (["ls", ware], ["show", ware], ["diff", ware, "src"], ["pin", ware, "mine"], ["unpin", "mine"]):
        full.call("--json", "ware", *args)
    full.run("--json", "ware", "pack", "--to", f"file://{full.root}/x.ztar", "src")
    full.run("--json", "ware", "scan", "x.ztar")
    full.run("--json", "id", "plot.wf")
    full.run("--json", "status")


def test_failures_are_one_line_on_stderr(full: World) -> None:
    full.write("plot.wf", plot({"bad": script("exit 3"), "after": script("x", inputs={"/i": "pipe:bad:o"})}))
    for args in ("run", "run -k", "plan", "why bad", "log none", "ware ls tar:none", "nope", "ware pack"):
        done = full.call("--json", *args.split())
        errors = [line for line in done.err.splitlines() if line.startswith('{"code"')]
        assert len(errors) == (0 if done.exit == 0 else 1), str(done)
        assert all("\n" not in error for error in errors)


def test_the_store_catalogs_and_documents(full: World) -> None:
    full.run("--json", "run")
    full.run("--json", "check", "plot.wf", "module.wf")
    full.write("bad.wf", {"plot.v1": {"inputs": {}, "steps": {"a": {"plot": 1}}, "outputs": {}}})
    full.call("--json", "check", "bad.wf")
    for args in (
        ["verify"],
        ["verify", "--deep"],
        ["repair"],
        ["reindex"],
        ["stats"],
        ["gc", "--dry-run"],
        ["gc"],
    ):
        full.run("--json", "store", *args)
    full.run("--json", "catalog", "ls")
    full.run("--json", "catalog", "show", BUSYBOX.removeprefix("catalog:"))
    full.call("--json", "catalog", "check")


def test_the_command_prints_them(world: World) -> None:
    listed = world.run("schema").out.splitlines()
    assert [line.split()[0] for line in listed] == kinds()
    printed: dict[str, Any] = json.loads(world.run("schema", "runrecord").out)
    assert printed == schema("runrecord")
    assert json.loads(world.run("schema", "--all").out)["$defs"].keys() == {*kinds()} - {"error", "output"}
    assert world.fail("schema", "nope").code == "missing"


def test_a_line_that_does_not_fit_is_noticed() -> None:
    check_line('{"log":{"Msg":"x"}}')
    for wrong in ('{"log":{"msg":"x"}}', '{"log":{"Msg":1}}', '{"nope":1}', '{"run":{"id":5}}', '["log"]'):
        with pytest.raises(AssertionError):
            check_line(wrong)
