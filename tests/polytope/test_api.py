"""What code may ask of a job, in both of its languages."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from support.recording import Recording, StepFailed

from warpforge.errors import Missing, WarpforgeError
from warpforge.polytope.calls.expand import Call
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.calls.resolve import Frame
from warpforge.polytope.calls.steps import JobStep
from warpforge.polytope.code.evaluator import Evaluator
from warpforge.polytope.code.host import CALLS, VARIABLES
from warpforge.polytope.files.library import Library
from warpforge.polytope.jobs.author import Author
from warpforge.polytope.modules.api import NAMES, Api
from warpforge.polytope.modules.python_code import make_start
from warpforge.polytope.nouns import Value

FILE = """\
modules:
  - id: greeter
    params:
      - {id: who, type: [default, str, you]}
      - {id: http-ports, type: [default, [int], [80]]}
    code: |-
      #pt-js
      pt.log("hello " + params.who);
      ({who: params.who, ports: params.httpPorts, repo: pt.moduleRepoRef})
  - id: shell
    module: polytope/container
    args: {image: alpine, env: [{name: P, value: pt.secret pass}, {name: V, value: pt.value there}]}
templates:
  - id: both
    params: [{id: who, type: str}]
    run:
      - {module: greeter, args: {who: pt.param who}}
      - {id: after, module: greeter, args: {who: '#pt-output greeter who'}}
"""


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator() as made:
        yield made


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    path = tmp_path_factory.mktemp("project") / "polytope.yml"
    path.write_text(FILE)
    return Library(str(path), directory=str(path.parent))


@pytest.fixture
def author(library: Library, evaluator: Evaluator) -> Author:
    return Author(library, evaluator, cwd=library.directory)


def do(author: Author, library: Library, runner: Recording, step: JobStep) -> Value:
    return author.open(msgspec.structs.replace(step, frame=Frame(library.root)), runner).do(runner)


def run(author: Author, library: Library, runner: Recording, code: str) -> Value:
    return do(author, library, runner, JobStep(id="x", code=code))


def test_every_name_that_code_may_call_is_answered() -> None:
    assert CALLS - VARIABLES <= NAMES
    with pytest.raises(Missing):
        Api(Recording(), Facts()).call("whatever", [])


def test_paths_that_code_hands_on_begin_at_its_file(library: Library, evaluator: Evaluator) -> None:
    author = Author(library, evaluator, cwd="/elsewhere")
    code = "pt.js pt.callModule('m', {code: {type: 'host', path: 'conf'}, on: [{source: {type: 'host', path: './x'}}]})"
    assert run(author, library, Recording(), code) == {
        "code": {"type": "host", "path": f"{library.directory}/conf"},
        "on": [{"source": {"type": "host", "path": "/elsewhere/x"}}],
    }


CLOJURE = """pt.clj
(let [id (pt/spawn-container {:image "alpine" :id "box"})]
  (pt/await-container-started {:ref id :type "deployment"})
  (pt/open-service id {:id "web" :ports [{:port 80}]})
  (pt/write-container-file id "/tmp/a" "text")
  (let [exec (pt/container-exec id ["ls" "-l"])
        failed (pt/container-exec {:container id :cmd "false" :env [{:name "A" :value 1}]})]
    (pt/set-job-value "k" {:a [1 nil true]})
    (pt/sleep "1500ms")
    (pt/sleep 500)
    (pt/stop-service "web")
    (pt/stop id)
    [(pt/await-exec-exit exec) (pt/await-exec-exit failed) (pt/await-container-exited id)
     (pt/read-container-file id "/tmp/a")
     (map :name (pt/container-ls id "/tmp")) (pt/get-job-value "k")
     (pt/store-dataset {:type "container-path" :container-id id :path "/out"} {:type "dataset" :dataset "d"})]))
"""


def test_clojure_drives_a_container(author: Author, library: Library) -> None:
    runner = Recording(exits={"false": 1})
    assert run(author, library, runner, CLOJURE) == [0, 1, 0, "text", ["a"], {"a": [1, None, True]}, 1]
    done = [entry for entry in runner.done if entry[0] != "exec"]
    assert done == [
        ("spawn", "box"),
        ("started", "box"),
        ("open", "box", "web"),
        ("close", "web"),
        ("stop", "box"),
        ("exited", "box"),
        ("store", "box", "/out", "d"),
    ]
    assert sorted(entry[2] for entry in runner.done if entry[0] == "exec") == ["false", "ls"]
    assert runner.slept == 2.0


def test_javascript_has_the_same_in_its_own_spelling(author: Author, library: Library, tmp_path: Path) -> None:
    (tmp_path / "conf.yml").write_text("a: [1, {b: no}]\n")
    runner = Recording(tmp_path, secrets={"key": "s3cret"})
    code = """pt.js
    const conf = pt.readYaml(pt.readRepoFile("conf.yml", {repo: pt.moduleRepoRef}));
    let caught = "";
    try { pt.readRepoFile("nothing.yml") } catch (e) { caught = String(e.message || e) }
    pt.setProjectValue("v", "1");
    pt.setSecret("new", "x");
    pt.log("warn", "careful");
    pt.log("info");
    pt.log({a: [1, null]});
    const called = pt.callModule("polytope/noop", {"container-id": "x"});
    ({conf, caught, value: pt.value("v"), secret: pt.secret("key"), called, step: pt.spawnStep("greeter", {}),
      json: pt.writeJson({a: 1}), edn: pt.writeEdn({"a-b": ["c", null, true]}), back: pt.readEdn("{:a [1 nil]}"),
      yaml: pt.writeYaml({a: [1]}), sum: pt.eval("(+ 1 2)")})
    """
    found = run(author, library, runner, code)
    assert isinstance(found, dict)
    assert found.pop("caught") == "there is no nothing.yml"
    assert found == {
        "conf": {"a": [1, {"b": "no"}]},
        "value": "1",
        "secret": "s3cret",
        "called": {"container-id": "x"},
        "step": "greeter",
        "json": '{"a": 1}',
        "edn": '{:a-b ["c" nil true]}',
        "back": {"a": [1, None]},
        "yaml": "a:\n- 1\n",
        "sum": 3,
    }
    assert runner.secrets["new"] == "x"
    assert runner.logs == [("warn", "careful"), ("info", "info"), ("info", "{:a [1 nil]}")]


@pytest.mark.parametrize(
    "code",
    [
        'pt.clj (try (pt/fail "No." {:a 1}) (catch Exception e "caught"))',
        'pt.js try { pt.fail("No.", {a: 1}) } catch (e) {}',
    ],
)
def test_what_fails_fails(author: Author, library: Library, code: str) -> None:
    with pytest.raises(StepFailed, match=r"^No\.$") as caught:
        run(author, library, Recording(), code)
    assert caught.value.data == {"a": 1}


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ('(pt/spawn {:image "a" :workdir "x"})', "workdir: an absolute path"),
        ("(pt/await-done nil)", "an id was expected"),
        ('(pt/sleep "soon")', "no duration"),
        ('(pt/await-exec-exit "exec-9")', "nothing was begun"),
        ('(pt/store-dataset {:path "/x"} {})', "which dataset"),
        ('(pt/read-json "{")', "JSON text"),
    ],
)
def test_what_makes_no_sense_says_so(author: Author, library: Library, code: str, why: str) -> None:
    with pytest.raises(WarpforgeError, match=why):
        run(author, library, Recording(), f"pt.clj {code}")


def test_steps_see_their_own_scope(author: Author, library: Library) -> None:
    runner = Recording()
    output = do(author, library, runner, JobStep(id="greeter", call="greeter", args={"who": "me", "odd": 1}))
    assert output == {"who": "me", "ports": [80], "repo": library.directory}
    assert [level for level, _ in runner.logs] == ["warn", "info"]
    call = Call(reference="both", args={"who": "all"}, file=library.root)
    first, second = author.plan([[call]], runner)
    assert [after.step for after in second.after] == [first.id]
    runner.outputs["greeter"] = author.open(first, runner).do(runner)
    assert author.open(second, runner).do(runner) == {"who": "all", "ports": [80], "repo": library.directory}


def test_secrets_are_marked_and_what_is_not_stored_is_named(author: Author, library: Library) -> None:
    with pytest.raises(Missing, match="pt secrets set pass"):
        do(author, library, Recording(), JobStep(id="shell", call="shell"))
    runner = Recording(secrets={"pass": "s3cret"})
    runner.values["project", "there"] = "at s3cret.example.org"
    do(author, library, runner, JobStep(id="shell", call="shell"))
    assert [(one.name, one.is_secret) for one in runner.specs["shell"].env] == [("P", True), ("V", True)]


def test_python_runs_in_a_box_alone(author: Author, library: Library) -> None:
    runner = Recording()
    runner.files["x", "/tmp/pt-output.json"] = b'{"a": 1}'
    assert run(author, library, runner, "#pt-py\nimport os\n{'a': 1}") == {"a": 1}
    (spec,) = runner.specs.values()
    assert "python:3.12" in spec.image
    assert [entry[0] for entry in runner.done] == ["spawn", "started", "exec", "stop"]
    assert [mount.path for mount in spec.mounts] == ["/pt/start.py", "/pt/code.py", "/pt/params.json"]
    with pytest.raises(StepFailed):
        run(author, library, Recording(exits={"python3": 1}), "#pt-py 1")


def test_the_start_of_python_code_gives_the_last_value(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("import os\ndef f(x):\n    return x + params['n']\nf(1)\n")
    (tmp_path / "params.json").write_text('{"n": 2}')
    start = make_start(str(tmp_path), str(tmp_path / "out.json"))
    subprocess.run([sys.executable, "-c", start], check=True)
    assert json.loads((tmp_path / "out.json").read_text()) == 3
