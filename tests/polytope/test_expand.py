"""Calls come down, level by level, to what can be run; references and code are evaluated where they were written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from warpforge.errors import Failed, Invalid, Missing, WarpforgeError
from warpforge.polytope.calls.expand import Call, Leaf, expand
from warpforge.polytope.calls.resolve import Frame, NotStored, Resolver
from warpforge.polytope.calls.steps import JobStep, begin, plan_steps
from warpforge.polytope.code.evaluator import Evaluator
from warpforge.polytope.files.library import Library, find_file, find_highest, scoped
from warpforge.polytope.marks import MASK, SecretText, Unknown, masked
from warpforge.polytope.nouns import After, Value


class Stored:
    def value(self, name: str) -> str | None:
        return {"port": "5432", "host": "h"}.get(name)

    def secret(self, name: str) -> str | None:
        return {"pw": "s3cret!", "empty": ""}.get(name)


class Ended:
    def output(self, step: str) -> Value:
        return {"base-url": "http://x", "n": 1}


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator() as evaluator:
        yield evaluator


class World:
    """A directory of files, and what is looked up in them."""

    def __init__(self, directory: Path, evaluator: Evaluator) -> None:
        self.directory = directory
        self.evaluator = evaluator
        self.repositories: dict[str, str] = {}

    def write(self, text: str, path: str = "polytope.yml") -> World:
        goal = self.directory / path
        goal.parent.mkdir(parents=True, exist_ok=True)
        goal.write_text(text)
        return self

    def resolver(self, *, is_dry: bool = False) -> Resolver:
        library = Library(
            str(self.directory / "polytope.yml"),
            directory=str(self.directory),
            repositories=self.repositories,
            revision=lambda checkout, revision: f"{checkout}-{revision}",
        )
        cwd = str(self.directory / "cwd")
        return Resolver(library, self.evaluator, Stored(), cwd=cwd, outputs=None if is_dry else Ended(), is_dry=is_dry)

    def expand(self, reference: str, args: dict[str, Value] | None = None, *, is_dry: bool = False) -> Leaf:
        return expand(Call(reference=reference, args=args or {}), self.resolver(is_dry=is_dry))

    def plan(self, *references: str) -> list[JobStep]:
        return plan_steps([[Call(reference=reference) for reference in references]], self.resolver())

    def resolve(self, value: Value, **params: Value) -> Any:
        resolver = self.resolver()
        found = resolver.resolve(value, Frame(resolver.library.root, params))
        resolver.demand_nothing_missing()
        return found


@pytest.fixture
def world(tmp_path: Path, evaluator: Evaluator) -> World:
    (tmp_path / ".git").mkdir()
    return World(tmp_path, evaluator).write("{}")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("pt.param list", [1, {"a": None}]),
        ("#pt-param list", [1, {"a": None}]),
        ("pt.input n", 3),
        (" pt.param n\n", 3),
        ("pt.param undeclared", None),
        ("pt.value port", "5432"),
        ("pt.values port", "5432"),
        ("#pt-value port", "5432"),
        ("#pt-secret pw", "s3cret!"),
        ("#pt-output gate base-url", "http://x"),
        ("pt.output gate", {"base-url": "http://x", "n": 1}),
        ("http://{pt.value host}:{pt.param n}/{pt.secret pw}", "http://h:3/s3cret!"),
        ("{#pt-param n}{pt.input undeclared}{ pt.param on }", "3true"),
        ("{pt.param list}", '[1, {"a": null}]'),
        ("use pt.param n here", "use pt.param n here"),
        ("pt.param n more", "pt.param n more"),
        ("#pt-host", "#pt-host"),
        ("{pt.strange x}", "{pt.strange x}"),
        ("#pt-js params.n + 1", 4),
        ("pt.js\nconst x = params.n;\n[x, x * 2]", [3, 6]),
        ("pt.js pt.value('port') + pt.param('n')", "54323"),
        ("#pt-clj (str (:n params) (pt/value \"host\"))", "3h"),
        ("pt.clj\n(for [x (:list params)] x)", [1, {"a": None}]),
        ([{"a": ["pt.param n"]}], [{"a": [3]}]),
        ({"type": "string", "data": "x={pt.param n}"}, {"type": "string", "data": "x=3"}),
        (None, None),
    ],
)  # fmt: skip
def test_what_stands_for_a_value(world: World, written: Value, value: Value) -> None:
    assert world.resolve(written, n=3, on=True, list=[1, {"a": None}]) == value


def test_paths_mean_the_same_wherever_they_are_handed_to(world: World, tmp_path: Path) -> None:
    world.write("include: [svc]").write(
        "modules: [{id: m, module: polytope/container, args: {image: x}}]", "svc/polytope.yml"
    )
    resolver = world.resolver()
    inner = Frame(resolver.library.files[1])

    def anchored(source: Value) -> Any:
        return resolver.resolve(source, inner)

    assert anchored({"type": "host", "path": "conf"})["path"] == str(tmp_path / "svc/conf")
    assert anchored({"type": "host", "path": "./conf"})["path"] == str(tmp_path / "cwd/conf")
    assert anchored({"type": "host", "path": ""})["path"] == str(tmp_path / "svc")
    assert anchored({"type": "host", "path": "/etc"})["path"] == "/etc"
    assert anchored({"type": "repo"}) == {"type": "repo", "repo": str(tmp_path), "path": "/"}
    assert anchored({"type": "repo", "path": "."})["path"] == "/svc"
    assert anchored({"type": "repo", "path": "/lib"})["path"] == "/lib"
    assert anchored({"type": "repo", "repo": "#pt-clj pt/module-repo-ref"})["repo"] == str(tmp_path)
    assert anchored("#pt-js ({type: 'host', path: 'conf'})")["path"] == str(tmp_path / "svc/conf")
    world.write("", "docs/a.md").write("", "docs/b.md").write("", "svc/docs/b.md")
    assert anchored({"type": "repo", "path": "docs/a.md"})["path"] == "/docs/a.md"
    assert anchored({"type": "repo", "path": "docs/b.md"})["path"] == "/svc/docs/b.md"
    own = {"type": "repo", "repo": "#pt-js pt.moduleRepoRef"}
    assert anchored({**own, "path": "docs/b.md"})["path"] == "/svc/docs/b.md"
    assert anchored({"type": "repo", "repo": "o/n", "path": "docs/b.md"})["path"] == "docs/b.md"


def test_secrets_stay_marked(world: World) -> None:
    found = world.resolve(
        {"a": "pt.secret pw", "b": "x{pt.secret pw}y", "c": "plain", "d": "#pt-js 'z' + pt.secret('pw')"}
    )
    assert [type(value) for value in found.values()] == [SecretText, SecretText, str, SecretText]
    assert masked(found) == {"a": MASK, "b": MASK, "c": "plain", "d": MASK}
    assert "s3cret" not in repr(found)


def test_all_that_is_not_stored_is_said_at_once(world: World) -> None:
    with pytest.raises(Missing) as refused:
        world.resolve(["pt.value one", "{pt.secret two}", "pt.value one"])
    assert refused.value.message.endswith("not stored yet: pt values set one ...; pt secrets set two ...")
    world.write("modules:\n- {id: m, module: polytope/container, args: {image: pt.value image}}\n")
    with pytest.raises(NotStored, match=r"polytope.yml:2:\d+: not stored yet: pt values set image"):
        world.expand("m")


LAYERS = """
modules:
- id: web
  module: layer
  params: [{id: port, type: [default, int, pt.value port]}, {id: password, type: str}]
  args:
    env: [{name: PORT, value: pt.param port}, {name: PW, value: pt.param password}, {name: N, value: pt.param nothing}]
    services: [{id: web, port: pt.value port}]
- id: layer
  module: polytope/container
  params: [{id: env, type: [maybe, [env-var]]}, {id: services, type: [maybe, [service-spec]]}]
  args: {image: x, env: pt.param env, services: pt.param services, cmd: [a, null], user: pt.param user}
"""


def test_a_call_comes_down_to_values(world: World) -> None:
    leaf = world.write(LAYERS).expand("web", {"password": "pt.secret pw"})
    assert leaf.params["env"] == [
        {"name": "PORT", "value": 5432},
        {"name": "PW", "value": "pt.secret pw"},  # an argument is a value already: it is not evaluated again
        {"name": "N", "value": None},
    ]
    assert leaf.params["services"] == [{"id": "web", "ports": [{"port": 5432, "protocol": "tcp"}]}]
    assert (leaf.primitive, leaf.params["user"], leaf.params["tty"]) == ("container", None, True)
    assert [level.reference for level in leaf.levels] == ["web", "layer", "polytope/container"]


def test_arguments_are_held_against_parameters_with_all_faults_and_their_places(world: World) -> None:
    world.write(
        "modules:\n- id: a\n  module: web\n  args:\n    port: x\n    pasword: y\n" + LAYERS.split("modules:\n")[1]
    )
    with pytest.raises(Invalid) as refused:
        world.expand("a")
    issues = getattr(refused.value, "findings", ())
    assert [(issue.place.line, issue.message) for issue in issues] == [
        (5, "web: port: a whole number was expected, not 'x'"),
        (4, "web: password is required: str"),
        (6, "web: there is no parameter pasword: did you mean password?"),
    ]
    leaf = world.write(LAYERS).expand("web", {"password": "p", "pasword": "y"})
    assert [issue.message for issue in leaf.warnings] == ["web: there is no parameter pasword: did you mean password?"]


def test_the_scope_of_a_bare_id_is_the_file_that_says_it(world: World) -> None:
    world.write(
        "include: [sub]\n"
        "modules: [{id: container, code: pt.js 1}, {id: mine, module: theirs}, {id: kong, code: pt.js 1}]"
    )
    world.write("modules: [{id: theirs, module: helper}, {id: helper, code: pt.js 'sub'}]", "sub/polytope.yml")
    leaf = world.expand("mine")
    assert leaf.code and leaf.code.text == "'sub'" and leaf.file.path.endswith("sub/polytope.yml")
    assert (leaf.code.place.path, leaf.code.place.line) == (leaf.file.path, 1)
    again = world.expand(scoped("helper", leaf.file))  # as code of that file calls it
    assert again.file.path == leaf.file.path
    assert [scoped(reference, leaf.file) for reference in ("polytope/node", "dir/x")] == ["polytope/node", "dir/x"]
    source: Value = {"type": "string", "data": "_format_version: '3.0'"}
    assert [
        level.file.is_builtin for level in world.expand("polytope/kong!simple", {"config-file": source}).levels
    ] == [True] * 3


@pytest.mark.parametrize(
    ("text", "reference", "about"),
    [
        ("modules: [{id: a, module: b}, {id: b, module: a}]", "a", "in a circle: a -> b -> a"),
        ("modules: [{id: a, module: a}]", "a", "circle: a -> a"),
        ("modules: [{id: api, module: apii}]", "api", "there is no module or template apii: did you mean api?"),
        ("include: [nowhere]", "x", "it may be in what could not be included: nowhere"),
        ("{}", "polytope/postgress", "did you mean polytope/postgres?"),
        ("{}", "owner/project!x", "name its checkout in the configuration"),
        ("modules: [{id: a, module: polytope/go, args: {image: '#pt-js null.x'}}]", "a", ":1:47: JavaScript code: "),
        ("modules: [{id: a, code: pt.js 1, params: [{id: p, type: [regex, '(a+)+$']}]}]", "a", ""),
    ],
)  # fmt: skip
def test_what_does_not_expand(world: World, text: str, reference: str, about: str) -> None:
    world.write(text)
    with pytest.raises(WarpforgeError) as refused:
        world.expand(reference, {} if about else {"p": "a"})
        raise Failed("generator-failed", "")
    assert about in refused.value.message


def test_references_to_repositories_and_directories(world: World, tmp_path: Path) -> None:
    world.repositories = {"owner/name": str(tmp_path / "checkout")}
    world.write("include: [gh:owner/name]\nmodules: [{id: n, module: tools/ngrok/ngrok}]")
    world.write("tools: {far: {run: [{code: pt.js 1}]}}", "checkout/polytope.yml")
    world.write("modules: [{id: m, default?: true, code: pt.js 2}, {id: o}]", "checkout/in/polytope.yml")
    world.write("modules: [{id: o, code: pt.js 3}]", "checkout-main/in/polytope.yml")
    world.write("modules: [{id: ngrok, code: pt.js 4}]", "tools/ngrok/polytope.yml")

    def text(reference: str) -> str:
        leaf = world.expand(reference)
        return leaf.code.text if leaf.code else leaf.template.id if leaf.template else ""

    assert [text(r) for r in ("far", "owner/name:in", "owner/name@main:in!o", "n")] == ["far", "2", "3", "4"]


def test_a_file_is_found_upward_within_its_repository(tmp_path: Path) -> None:
    (tmp_path / "polytope.yml").write_text("{}")
    (tmp_path / "r" / "a" / "b").mkdir(parents=True)
    (tmp_path / "r" / ".git").mkdir()
    assert find_file(str(tmp_path / "r" / "a")) is None
    (tmp_path / "r" / "polytope.edn").write_text("{}")
    (tmp_path / "r" / "a" / "polytope.json").write_text("{}")
    assert find_file(str(tmp_path / "r" / "a" / "b")) == str(tmp_path / "r" / "a" / "polytope.json")
    assert find_highest(str(tmp_path / "r" / "a" / "b")) == str(tmp_path / "r" / "polytope.edn")


STEPS = """
templates:
- id: ci
  run:
  - lint
  - {module: test, after: {step: lint}}
  - {template: deploy, args: {where: "{pt.param to}!"}, after: test}
  - {id: tell, code: "pt.js pt.output('test')", run-when: {after: deploy, after-condition: always}}
  params: [{id: to, type: [default, str, prod]}]
- id: deploy
  params: [{id: where, type: str}]
  run:
  - {id: push, module: lint, args: {to: pt.param where}}
  - {id: check, module: test, args: {x: "#pt-output push n"}}
- {id: one, run: [{id: inner, module: lint}]}
- {id: pause, run: [polytope/noop]}
- id: both
  run: [one, {template: deploy, args: {where: a}}, {id: last, module: wrapper, after: [{step: one}, {step: deploy}]}]
- {id: loop, run: [{id: a, module: lint, after: b}, {id: b, module: lint, after: a}]}
- {id: self, run: [self]}
- {id: stray, run: [{module: lint, after: nobody}]}
- {id: dangling, run: [gone, lint, gone-too]}
modules:
- {id: lint, code: pt.js 1}
- {id: test, code: pt.js 2}
- {id: wrapper, module: one}
"""


def test_steps_of_a_template(world: World) -> None:
    steps = world.write(STEPS).plan("ci")
    assert [(step.id, step.after) for step in steps] == [
        ("lint", ()),
        ("test", (After("lint"),)),
        ("push", (After("test"),)),
        ("check", (After("push"), After("test"))),
        ("tell", (After("push", "always"), After("check", "always"), After("test"))),
    ]
    leaf = begin(steps[2], world.resolver())
    assert leaf.params == {"to": "prod!"}
    assert begin(steps[4], world.resolver()).code is not None


def test_ids_of_steps_are_unique(world: World) -> None:
    world.write(STEPS)
    assert [step.id for step in world.plan("both")] == ["one", "push", "check", "last"]
    assert [step.id for step in world.plan("lint", "one", "lint")] == ["lint", "one", "lint-2"]
    assert world.plan("both")[3].after == (After("one"), After("push"), After("check"))
    assert [step.id for step in world.plan("pause")] == ["pause"]


def test_groups_follow_one_another(world: World) -> None:
    world.write(STEPS)
    groups = [[Call(reference="lint"), Call(reference="test")], [Call(reference="one")]]
    assert [(step.id, step.after) for step in plan_steps(groups, world.resolver())] == [
        ("lint", ()),
        ("test", ()),
        ("inner", (After("lint"), After("test"))),
    ]


@pytest.mark.parametrize(
    ("reference", "code", "about"),
    [
        ("loop", "module-invalid", "steps wait for one another in a circle: "),
        ("self", "module-invalid", "templates run one another in a circle: self -> self"),
        ("stray", "module-invalid", "lint waits for nobody: there are lint"),
        ("dangling", "missing", "there is no module or template gone"),
    ],
)
def test_templates_that_cannot_be_run(world: World, reference: str, code: str, about: str) -> None:
    with pytest.raises(WarpforgeError, match=about) as refused:
        world.write(STEPS).plan(reference)
    assert refused.value.code == f"warpforge-error-{code}"
    assert len(getattr(refused.value, "findings", ())) == (2 if reference == "dangling" else 1)


def test_a_dry_run_knows_what_it_does_not_know(world: World) -> None:
    leaf = world.write(LAYERS).expand("web", {"password": Unknown("pt.param password")}, is_dry=True)
    env: Any = leaf.params["env"]
    assert env[0]["value"] == 5432 and isinstance(env[1]["value"], Unknown)
    world.write(
        "modules: [{id: a, module: polytope/container, args: {image: pt.value gone, cmd: \"#pt-js pt.value('gone')\"}}]"
    )
    params = world.expand("a", is_dry=True).params
    assert (params["image"], params["cmd"]) == ("pt.value gone", "pt.js")


def test_secrets_reach_the_steps_of_templates(world: World) -> None:
    world.write(
        "templates: [{id: t, run: [{template: u, args: {pw: pt.secret pw}}]}, "
        "{id: u, params: [{id: pw, type: str}], run: [{module: m, args: {pw: 'x{pt.param pw}'}}]}]\n"
        "modules: [{id: m, code: pt.js 1}]"
    )
    (step,) = world.plan("t")
    leaf = begin(step, world.resolver())
    assert leaf.params == {"pw": "xs3cret!"} and type(leaf.params["pw"]) is str
    assert leaf.secrets == {"s3cret!"}
