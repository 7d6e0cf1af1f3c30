"""Templates copied into projects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.recording import Recording

from warpforge.errors import Failed, Invalid
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.files.amend import add_calls
from warpforge.polytope.modules.primitives import run_primitive
from warpforge.polytope.modules.rendering import render
from warpforge.polytope.nouns import Value

FILE = """\
# ours
include:
  - services   # all of them
tools:
  default:
    run:
      - tool: web  # the page
"""


def project(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    template = tmp_path / "template"
    (template / "src").mkdir(parents=True)
    (template / "polytope.yml").write_text("tools: {{{ project-name }}: {info: '{{ project-name | pascal_case }}'}}\n")
    (template / "src" / "{{ project-name | snake_case }}.py").write_text("{{ unknown }} {= later =}\n")
    (template / "run").write_bytes(b"\0{{ project-name }}")
    (template / "run").chmod(0o700)
    made.mkdir()
    (made / "polytope.yml").write_text(FILE)
    return made


def action(tmp_path: Path, **more: Value) -> dict[str, Value]:
    named = {key.replace("_", "-"): value for key, value in more.items()}
    template: Value = {"type": "host", "path": str(tmp_path / "template")}
    return {"template": template, "path": "/modules/my-api", **named}


def scaffold(made: Path, *actions: Value) -> tuple[Value, Recording]:
    runner = Recording(made)
    return run_primitive("scaffold", runner, {"actions": list(actions)}, Facts(base=str(made))), runner


def test_a_template_is_filled_in_and_called(tmp_path: Path) -> None:
    made = project(tmp_path)
    calls: Value = [{"tool": "default", "call": "my-api"}, {"tool": "ci", "call": "my-api"}]
    output, runner = scaffold(made, action(tmp_path, add_to_tools=calls, print_files=["src/my_api.py"]))
    api = made / "modules" / "my-api"
    assert (api / "polytope.yml").read_text() == "tools: {my-api: {info: 'MyApi'}}\n"
    assert (api / "src" / "my_api.py").read_text() == "{{ unknown }} {= later =}\n"
    assert (api / "run").read_bytes() == b"\0{{ project-name }}"
    assert (api / "run").stat().st_mode & 0o777 == 0o755
    assert isinstance(output, dict) and output["kept"] == []
    assert ("info", "{{ unknown }} {= later =}\n") in runner.logs
    text = (made / "polytope.yml").read_text()
    assert "# ours" in text and "# all of them" in text and "# the page" in text
    assert text.count("my-api") == 3
    assert text.startswith(FILE.partition("tools:")[0].rstrip("\n")) and "\n      - tool: web  # the page\n" in text
    scaffold(made, action(tmp_path, add_to_tools=calls, on_conflict="skip"))
    assert (made / "polytope.yml").read_text() == text


def test_templates_of_the_older_form_are_called_by_id(tmp_path: Path) -> None:
    made = project(tmp_path)
    (made / "polytope.yml").write_text("templates:\n  - id: stack\n    run: [web]\n")
    scaffold(made, action(tmp_path, add_to_tools=[{"tool": "stack", "call": "my-api"}]))
    assert "run: [web, my-api]" in (made / "polytope.yml").read_text()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "include:\n  - more\n"),
        ("# mine\n", "# mine\ninclude:\n  - more\n"),
        ("include: [a,  'b' ] # c\nx: [{schedule: y}]", "include: [a,  'b', more ] # c\nx: [{schedule: y}]"),
        ("include:\n- a # c\n\n# d\nx: [{schedule}]\n", "include:\n- a # c\n- more\n\n# d\nx: [{schedule}]\n"),
        ("include:  # none\nx: 1\n", "include: [more]  # none\nx: 1\n"),
        ("include: []\r\nx:  1\r\n", "include: [more]\r\nx:  1\r\n"),
        ("x: |\n  text\n\n", "x: |\n  text\ninclude:\n  - more\n\n"),
        ("y: 1\nx:  # a: b\n\n# c\n", "y: 1\nx:  # a: b\ninclude:\n  - more\n\n# c\n"),
        ("include: ~ # c\nx: 1\n", "include: [more] # c\nx: 1\n"),
        ("{x: 1}\n", "{x: 1, include: [more]}\n"),
    ],
)
def test_every_other_byte_stays(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "polytope.yml"
    path.write_bytes(before.encode())
    assert add_calls(str(tmp_path), "more", ()) == ["polytope.yml"] and path.read_bytes() == after.encode()
    assert add_calls(str(tmp_path), "more", ()) == []


def test_what_is_there_is_kept_replaced_or_refused(tmp_path: Path) -> None:
    made = project(tmp_path)
    there = made / "modules" / "my-api" / "run"
    there.parent.mkdir(parents=True)
    there.write_text("mine")
    with pytest.raises(Failed, match="modules/my-api/run: there already") as caught:
        scaffold(made, action(tmp_path))
    assert caught.value.code == "warpforge-error-already-exists"
    assert [path.name for path in there.parent.iterdir()] == ["run"]
    output, _ = scaffold(made, action(tmp_path, on_conflict="skip"))
    assert isinstance(output, dict) and output["kept"] == ["modules/my-api/run"]
    assert there.read_text() == "mine"
    scaffold(made, action(tmp_path, on_conflict="overwrite"))
    assert there.read_bytes() == b"\0{{ project-name }}"
    scaffold(made, action(tmp_path))


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    made = project(tmp_path)
    (tmp_path / "outside").mkdir()
    (made / "modules").symlink_to(tmp_path / "outside")
    (tmp_path / "template" / "leak").symlink_to("/etc/passwd")
    with pytest.raises(Invalid, match="leads out of the project"):
        scaffold(made, action(tmp_path))
    with pytest.raises(Invalid, match="leads out of the project"):
        scaffold(made, {**action(tmp_path), "path": "../outside"})
    assert list((tmp_path / "outside").iterdir()) == []
    scaffold(made, {**action(tmp_path), "path": "inside"})
    assert not (made / "inside" / "leak").exists()


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{{name}} {{ NAME }} {{ na-me }}", "my-App2 my-App2 {{ na-me }}"),
        ("{{ name|kebab_case }} {{ name | snake-case }}", "my-app2 my_app2"),
        ("{{ name | camel_case }} {{ name | title_case }} {{ name | upper | lower }}", "myApp2 My App2 my-app2"),
        ("{{ name | whatever }} {{{ name }}} {% name %}", "my-App2 {my-App2} {% name %}"),
    ],
)
def test_placeholders(text: str, rendered: str) -> None:
    assert render(text, {"name": "my-App2"}) == rendered


@pytest.mark.parametrize("template", ["webapp", "ml-app", "chatbot"])
def test_a_new_project(tmp_path: Path, template: str) -> None:
    (tmp_path / template).mkdir()
    runner = Recording()
    output = run_primitive("create-project", runner, {"template": template}, Facts(cwd=str(tmp_path)))
    assert output == f"{template}-1"
    assert [level for level, _ in runner.logs] == ["warn", "info"]
    made = tmp_path / f"{template}-1"
    assert f"# {template}-1" in (made / "README.md").read_text()
    assert (made / "polytope.yml").exists()
    assert (made / ".git").is_dir()
    programs = [str(path) for path in made.rglob("*.py")]
    subprocess.run([sys.executable, "-m", "py_compile", *programs], check=True)


def test_the_tests_of_a_new_webapp_pass(tmp_path: Path) -> None:
    run_primitive("create-project", Recording(), {"name": "site"}, Facts(cwd=str(tmp_path)))
    subprocess.run([sys.executable, "-m", "unittest", "-q"], cwd=tmp_path / "site", check=True, capture_output=True)
    with pytest.raises(Invalid):
        run_primitive("create-project", Recording(), {"name": "../x"}, Facts(cwd=str(tmp_path)))
