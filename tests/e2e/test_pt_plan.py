"""pt plan and pt export: which steps are formulas, and the plot that they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pinned import pinned_world
from support.world import World

FILE = """\
modules:
  - id: table
    module: polytope/container
    args:
      image: IMAGE
      cmd: [sh, -c, 'mkdir /out && sort /src/list > /out/sorted']
      mounts: [{path: /src, source: {type: host, path: src}}]
      datasets: [{path: /out, sink: sorted}]
      hermetic: true
  - id: count
    params: [{id: word, type: [default, str, lines]}]
    module: polytope/container
    args:
      image: IMAGE
      cmd: [sh, -c, 'mkdir /c; echo $(wc -l < /in/sorted) $WORD > /c/count']
      env: [{name: WORD, value: pt.param word}]
      mounts: [{path: /in, source: {type: dataset, dataset: sorted}}]
      datasets: [{path: /c, sink: count}]
  - id: db
    module: polytope/postgres
    args: {data-volume: {type: volume, id: data}}
  - {id: later, module: polytope/container, args: {image: IMAGE, env: [{name: A, value: pt.value there}]}}
templates:
  - id: all
    run: [table, {module: count, run-when: {after: table}}]
  - id: more
    run: [table, db, later, polytope/hello-world]
  - id: broken
    run: [nothing]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return pinned_world(tmp_path_factory.mktemp("plan"), FILE)[0]


def test_what_is_a_formula_and_why_others_are_not(world: World) -> None:
    planned = {(one.get("job"), one["step"]): one for one in world.pt("--json", "plan").all("planned")}
    assert {key: one["verdict"] for key, one in planned.items()} == {
        ("all", "table"): "formula",
        ("all", "count"): "box",
        ("more", "table"): "formula",
        ("more", "db"): "box",
        ("more", "later"): "box",
        ("more", "hello-world"): "code",
        ("broken", "broken"): "wrong",
    }
    count = planned["all", "count"]
    assert (count["after"], count["couldBeFormula"]) == (["table"], True)
    assert [why["reason"] for why in count["why"]] == ["unsaid"]
    database = [why["reason"] for why in planned["more", "db"]["why"]]
    assert database == ["unsaid", "image", "service", "volume"]
    assert "pt.value there" in planned["more", "later"]["why"][0]["text"]
    shown = world.pt("plan", "all").out.splitlines()
    assert shown[0] == "table  formula"
    assert shown[1].startswith("count  box      it is not said to be a pure function")
    assert shown[2].strip() == "(it would be a formula with --hermetic)"
    chosen = {one["step"]: one for one in world.pt("--json", "plan", "--hermetic", "all,", "more").all("planned")}
    verdicts = {"table": "formula", "count": "formula", "db": "box", "later": "box"}
    assert {name: chosen[name]["verdict"] for name in verdicts} == verdicts
    assert [why["reason"] for why in chosen["db"]["why"]] == ["image", "service", "volume"]


def test_what_can_be_one_is_run_as_one_when_that_is_asked_for(world: World) -> None:
    def remembered(*words: str) -> set[str]:
        ran = world.pt("--json", "run", *words)
        assert ran.exit == 0, str(ran)
        return {line["step"] for line in ran.all("jobline") if line["text"].startswith("remembered")}

    assert remembered("--hermetic", "table,", "count{word: once}") <= {"table"}
    assert remembered("--hermetic-only", "count", "table,", "count{word: once}") == {"table", "count"}
    file = world.path("polytope.yml")
    text = file.read_text()
    file.write_text(f"hermetic: true\n{text}")
    assert remembered("count{word: once}") == {"count"}
    assert remembered("--no-hermetic", "count{word: once}") == set()
    file.write_text(text)
    unknown = world.pt("run", "--hermetic-only", "nobody", "table")
    assert unknown.exit == 3 and "the steps are table" in unknown.err


def test_the_plot_gives_the_same_and_is_replayable_by_others(world: World) -> None:
    exported = world.pt("export", "table,", "count{word: rows}", "-o", "out/plot.wf", "--module", "example.org/all")
    assert exported.exit == 0, str(exported)
    assert "count is not said to be hermetic" in exported.err
    plot = world.read_json("out/plot.wf")["plot.v1"]
    table, count = (plot["steps"][name]["protoformula"]["inputs"] for name in ("table", "count"))
    assert table["/"].startswith("ingest:oci:example.org/base@sha256:")
    assert (table["/src"], count["/in"], count["$WORD"]) == ("ingest:dir:../src", "pipe:table:sorted", "literal:rows")
    assert world.read_json("out/module.wf") == {"module.v1": {"name": "example.org/all"}}
    results = world.run("--json", "run", "out").one("plotresults")
    tree = world.path("tree")
    world.run("ware", "unpack", results["count"], "--path", tree)
    assert (tree / "count").read_text() == "2 rows\n"
    again = world.pt("export", "table", "-o", "out/plot.wf")
    assert (again.exit, "already" in again.err) == (1, True)


def test_what_is_no_formula_is_not_exported(world: World) -> None:
    refused = world.pt("--json", "export", "more", "-o", "more.wf")
    assert (refused.exit, refused.error["details"]["reason"]) == (2, "hermetic")
    assert not Path(world.path("more.wf")).exists()
    part = world.pt("export", "more", "-o", "-", "--partial")
    assert '"table"' in part.out and "postgres" not in part.out
