"""``pt check``, ``show``, ``values`` and ``secrets``, as a person calls them."""

from __future__ import annotations

from pathlib import Path

from support.world import World

FILE = """\
modules:
- id: web
  info: The web.
  module: polytope/node
  params: [{id: port, type: [default, int, 80], info: Where it listens.}, {id: name, type: str}]
  args:
    services: [{id: web, ports: [{port: pt.param port}]}]
    cmd: "#pt-js `serve ${params.name}`"
templates:
- id: stack
  run: [{module: web, args: {name: a}}, {id: second, module: web, args: {name: b}, after: web}]
"""


def test_check_says_all_and_where(world: World) -> None:
    world.write("polytope.yml", FILE)
    served = world.pt("check")
    place = f"{world.root}/polytope.yml:11:41"
    message = f"warning: {place}: second waits for the end of web, which serves: it ends only when it is stopped\n"
    assert (served.exit, served.err) == (0, message)
    world.write(
        "sub/polytope.yml", "include: [nowhere]\nmodules:\n- {id: a, module: web, args: {x: '#pt-clj (str 1'}}\n"
    )
    missing = world.pt("check", cwd="sub")
    assert missing.exit == 2
    assert missing.err.splitlines() == [
        f"error: {world.root}/sub/polytope.yml:1:11: there is no {world.root}/sub/nowhere to include",
        f"error: {world.root}/sub/polytope.yml:3:3: there is no module or template web; it may be in what could not be "
        "included: nowhere",
        f"error: {world.root}/sub/polytope.yml:3:31: Clojure code: line 1: the ( here is never closed",
        "error: 3 faults",
        "  [warpforge-error-module-invalid]",
    ]
    both = world.pt("--json", "check", "polytope.yml", "sub")
    assert [(issue["line"], issue["reason"]) for issue in both.all("issue") if issue["level"] == "error"] == [
        (1, "reference"),
        (3, "reference"),
        (3, "code"),
    ]
    assert (both.exit, both.code) == (2, "module-invalid")
    assert (world.pt("check", "/").exit, world.pt("check", "none.yml").exit) == (3, 3)


SLIPS = """\
modules:
- {id: a, code: pt.js 1, params: [{id: port, type: int}]}
- {id: b, module: a, args: {port: pt.param prot, mode: pt.parm x}}
- {id: c, module: polytope/container, args: {image: x, services: [{id: s, ports: [0]}]}}
- {id: d, modul: a, params: [{id: p, type: strr}, {id: p}]}
templates:
- {id: t, run: [{module: a, args: {port: 1, por: 2}}], params: [{id: p, type: [default, int, x]}]}
triggers:
- {id: n, on: [{schedule: 61 * * * *}, {events: [pr-created, git-moon], when: pt.js (}], template: gone}
"""


def test_check_warns_of_slips_and_reads_triggers(world: World) -> None:
    world.write("polytope.yml", SLIPS)
    found = world.pt("--json", "check").all("issue")
    assert [
        (issue["line"], issue["level"], issue["message"].partition(": ")[2] or issue["message"]) for issue in found
    ] == [
        (3, "error", "port is required: int"),
        (3, "warning", "it is null unless it is given all the same"),
        (3, "warning", "it stays text"),
        (3, "warning", "there is no parameter mode"),
        (4, "error", "services[0].ports[0].port: 0: ports are numbers from 1 to 65535"),
        (5, "error", "d has neither module nor code"),
        (5, "warning", "did you mean module?"),
        (5, "error", "'strr' is no type: did you mean str?"),
        (5, "error", "the parameter p is there twice"),
        (7, "error", "p: a whole number was expected, not 'x'"),
        (9, "error", "the minute must be from 0 to 59, not '61'"),
        (9, "error", "line 1: SyntaxError: unexpected token in expression: '}'"),
        (9, "error", "there is no module or template gone"),
    ]
    ran = world.pt("run", "c").err
    assert f"{world.root}/polytope.yml:4:3: the container c: services[0].ports[0].port: 0" in ran


def test_errors_of_code_name_the_line_of_the_file(world: World) -> None:
    world.write(
        "polytope.yml",
        "modules:\n- id: a\n  code: |-\n    pt.clj\n\n    (let [x 1]\n      (foo x)\n"
        "- id: b\n  module: polytope/container\n  args:\n    image: x\n    cmd: |\n      #pt-js\n      let let = 3\n",
    )
    said = [(issue["line"], issue["message"]) for issue in world.pt("--json", "check").all("issue")]
    assert said == [
        (6, "Clojure code: the ( here is never closed"),
        (14, "JavaScript code: SyntaxError: 'let' is not a valid lexical identifier"),
    ]


def test_the_example_of_the_documentation_is_right(world: World) -> None:
    text = (Path(__file__).parents[2] / "docs" / "polytope.md").read_text()
    world.write("polytope.yml", text.split("```yaml\n")[1].split("```")[0])
    checked = world.pt("check")
    assert (checked.exit, checked.err) == (0, "")


def test_repositories_are_where_the_configuration_says(world: World) -> None:
    world.write("polytope.yml", "include: [gh:owner/name]\ntools: {all: {run: [{tool: far}]}}\n")
    world.write("elsewhere/polytope.yml", "tools: {far: {run: [{code: pt.js 1}]}}\n")
    assert world.pt("check").exit == 3
    world.write("c.yaml", "repos: {owner/name: elsewhere}\n")
    assert world.pt("--config-file", "c.yaml", "check").exit == 0
    assert world.pt("--config-file", "gone.yaml", "check").exit == 3
    world.write("c.yaml", "repos: [owner/name]\n")
    assert world.pt("--config-file", "c.yaml", "check").err.startswith(f"error: {world.root}/c.yaml: repos is a map")


def test_show_tells_what_a_module_takes_and_comes_down_to(world: World) -> None:
    world.write("polytope.yml", FILE)
    listed = world.pt("show").out.splitlines()
    assert [line.split()[:2] for line in listed[:2]] == [["stack", "template"], ["web", "module"]]
    assert "polytope/postgres!psql" in "\n".join(listed)
    shown = world.pt("--json", "show", "web").one("shown")
    assert [(param["id"], param["type"], param["required"], param["default"]) for param in shown["params"]] == [
        ("port", "int", False, "80"),
        ("name", "str", True, None),
    ]
    assert shown["levels"] == ["web", "polytope/node", "polytope/container (primitive)"]
    assert "services: [{id: web, ports: [{port: 80, protocol: tcp}]}]" in shown["args"]
    told = world.pt("show", "stack").out
    assert "web: web\n" in told and "second: web  after web\n" in told
    assert world.pt("show", "wep").err.startswith("error: there is no module or template wep: did you mean web?")


def test_values_and_secrets(world: World) -> None:
    world.write("polytope.yml", "{}")
    assert world.pt("values", "set", "a", "x: y").exit == 0
    assert world.pt("value", "set", "--stdin", stdin="port: 5432\nb: [1]\n").err == "value set: port, b\n"
    assert world.pt("values", "list").out == "a: 'x: y'\nb: '[1]'\nport: '5432'\n"
    assert world.pt("values", "get", "a", "-r").out == "x: y\n"
    assert world.pt("values", "get", "a", "-o", "edn").out == '"x: y"\n'
    pem = world.write("key.pem", "-----BEGIN-----\nmuch-too-secret\n")
    assert world.pt("secret", "set", "key", "-f", pem, "-r").exit == 0
    assert world.pt("secrets", "list", "-o", "json", "--no-pretty").out == '["key"]\n'
    assert world.pt("secrets", "get", "key", "-r").out == pem.read_text()
    assert world.pt("secrets", "set", "key", "shared", "-c", "team").exit == 0
    assert world.pt("--json", "secrets", "get", "key", "--context", "team").one("stored") == {
        "name": "key",
        "text": "shared",
    }
    assert world.pt("values", "rm", "a", "none").exit == 3
    assert world.pt("values", "rm", "a").exit == 0
    assert "a:" not in world.pt("values", "list").out
    assert world.pt("values", "set", "a").exit == 2
    kept = b"".join(path.read_bytes() for path in world.root.rglob("*") if path.is_file() and path != pem)
    kept += b"".join(path.read_bytes() for path in world.home.rglob("*") if path.is_file())
    assert b"much-too" not in kept and b"shared" not in kept
