"""polytope/create-project: a new directory with one of the templates that ship with us."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Final

from warpforge.errors import Failed
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.calls.taking import Taking
from warpforge.polytope.modules.copying import Action, copy_template
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Runner

TEMPLATES: Final = os.path.join(os.path.dirname(__file__), "..", "builtin", "templates")
_TRIES: Final = 20


def create_project(runner: Runner, args: dict[str, Value], facts: Facts) -> Value:
    """A new directory where the command was given; its name is the output.

    Errors: ``already-exists``, ``io``.
    """
    taking = Taking()
    template = taking.text(args.get("template"), "template", "webapp")
    wanted = taking.text(args.get("name"), "name", template)
    if wanted in (".", "..") or "/" in wanted or "\0" in wanted:
        taking.fault("name", "a name is no path")
    if not os.path.isdir(os.path.join(TEMPLATES, template)):
        taking.fault(
            "template", f"there is no template {template!r}; there are {', '.join(sorted(os.listdir(TEMPLATES)))}"
        )
    taking.finish("create-project")
    name = _free_name(facts.cwd, wanted)
    if name != wanted:
        runner.log("warn", f"{wanted} is there already: this project is called {name}")
    action = Action(name, {"project-name": name})
    copy_template(os.path.join(TEMPLATES, template), os.path.realpath(facts.cwd), action)
    _begin_repository(os.path.join(facts.cwd, name))
    runner.log("info", f"The project is in {name}. To go on:\n  cd {name}\n  pt run stack")
    return name


def _free_name(directory: str, wanted: str) -> str:
    for number in range(_TRIES + 1):
        name = f"{wanted}-{number}" if number else wanted
        if not os.path.lexists(os.path.join(directory, name)):
            return name
    raise Failed("already-exists", f"{wanted} and {wanted}-1 to {wanted}-{_TRIES} are there: name another", path=wanted)


def _begin_repository(directory: str) -> None:
    """Where there is git."""
    git = shutil.which("git")
    if git is not None:
        command = [git, "init", "-q", "--initial-branch=main", directory]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
