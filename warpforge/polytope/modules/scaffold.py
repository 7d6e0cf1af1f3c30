"""polytope/scaffold: templates copied into the project, and called by its file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, NamedTuple

from warpforge.polytope.calls.mounts import Facts, take_source
from warpforge.polytope.calls.taking import Taking
from warpforge.polytope.modules.copying import CONFLICTS, Action, Copied, copy_template, read_shown
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Runner
from warpforge.polytope.spec import RepoSource, Source, StringSource, VolumeSource

_FILES: Final = tuple(f"polytope.{ending}" for ending in ("yml", "yaml", "json", "edn"))


class Task(NamedTuple):
    """One template to copy; ``calls``: which tools of the project's file call it; ``shown``: files to print."""

    template: Source
    action: Action
    calls: tuple[tuple[str, str], ...]
    shown: tuple[str, ...]


def run_scaffold(runner: Runner, args: dict[str, Value], facts: Facts) -> Value:
    """Carry out all actions, one after the other; says which files were written and which were there.

    Errors: ``invalid-argument``; ``already-exists`` naming what is there and differs; ``missing``; ``io``.
    """
    project = os.path.realpath(runner.project_path())
    copied = Copied([], [])
    for task in _take_tasks(args, facts):
        done = copy_template(runner.source_path(task.template), project, task.action)
        copied.written.extend(done.written)
        copied.kept.extend(done.kept)
        if task.calls:
            from warpforge.polytope.files.amend import add_calls

            path = task.action.path
            is_file = any(os.path.lexists(os.path.join(project, path, name)) for name in _FILES)
            copied.written.extend(add_calls(project, path if is_file else "", task.calls))
        for name in task.shown:
            runner.log("info", read_shown(project, os.path.join(task.action.path, name)))
    for path in copied.written:
        runner.log("info", f"wrote {path}")
    return {"written": list(copied.written), "kept": list(copied.kept)}


def _take_tasks(args: Mapping[str, Value], facts: Facts) -> list[Task]:
    taking = Taking()
    tasks = [
        _take_task(taking, taking.mapping(item, path), path, facts)
        for item, path in taking.items(args.get("actions"), "actions")
    ]
    taking.finish("scaffold")
    return tasks


def _take_task(taking: Taking, said: dict[str, Value], path: str, facts: Facts) -> Task:
    template = said.get("template")
    source: Source | None
    if isinstance(template, str):
        source = RepoSource(repo=template)
    else:
        source = take_source(taking, template, f"{path}.template", facts)
    if isinstance(source, VolumeSource):
        taking.fault(f"{path}.template.type", "a volume is no template")
    goal = taking.text(said.get("path"), f"{path}.path").strip("/")
    goal = os.path.normpath(goal) if goal else "."
    if goal.startswith(".."):
        taking.fault(f"{path}.path", "it leads out of the project")
    calls = [
        (taking.text(call.get("tool"), f"{where}.tool"), taking.text(call.get("call"), f"{where}.call"))
        for item, where in taking.items(said.get("add-to-tools"), f"{path}.add-to-tools")
        for call in [taking.mapping(item, where)]
    ]
    shown = [taking.text(item, where) for item, where in taking.items(said.get("print-files"), f"{path}.print-files")]
    variables = {
        name: taking.text(value, f"{path}.variables.{name}")
        for name, value in taking.mapping(said.get("variables"), f"{path}.variables").items()
    }
    variables.setdefault("project-name", os.path.basename(goal))
    conflict = taking.choice(said.get("on-conflict"), f"{path}.on-conflict", CONFLICTS, "fail")
    return Task(source or StringSource(""), Action(goal, variables, conflict), tuple(calls), tuple(shown))
