"""``pt show``: what modules and templates there are, what they take, and what they come down to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from warpforge.cli.app import Command, Common, pass_common, printable, to_json

if TYPE_CHECKING:
    from warpforge.polytope.files.library import Library


@click.command(cls=Command)
@click.argument("module", required=False)
@click.option("-f", "--file", metavar="FILE", help="The polytope file; else the one that belongs to this directory.")
@pass_common
def show(common: Common, module: str | None, file: str | None) -> None:
    """Show a MODULE or template: its parameters with types and defaults, and what it expands to.

    Without MODULE, all that there are. Nothing is run; what only a call would say is shown as it was written.
    """
    from warpforge.cli.pt_world import open_library

    library = open_library(common, file)
    if module is None:
        _list(common, library)
        return
    from warpforge.polytope.code.evaluator import Evaluator
    from warpforge.polytope.survey.showing import describe

    with Evaluator() as evaluator:
        found = describe(module, library, evaluator, cwd=str(common.settings.cwd))
    if common.json:
        common.result(to_json({"shown": found}))
    else:
        _print(common, found)


def _list(common: Common, library: Library) -> None:
    from warpforge.polytope.survey.showing import list_all

    rows = list_all(library)
    if common.json:
        for row in rows:
            common.result(to_json({"shown": row}))
        return
    width = max((len(row["id"]) for row in rows), default=0)
    for row in rows:
        info = row["info"].strip().splitlines()
        common.result(printable(f"{row['id']:<{width}}  {row['kind']:<8}  {info[0] if info else ''}".rstrip()))


def _print(common: Common, found: dict[str, Any]) -> None:
    lines = [f"{found['id']}  ({found['kind']}, {found['place']})"]
    lines += [f"  {line}" for line in found["info"].strip().splitlines()]
    if found["params"]:
        lines += ["", "parameters"]
        width = max(len(param["id"]) for param in found["params"])
        for param in found["params"]:
            state = (
                "required"
                if param["required"]
                else f"default {param['default']}"
                if param["has_default"]
                else "optional"
            )
            lines.append(f"  {param['id']:<{width}}  {param['type']}  ({state})")
            if param["info"]:
                lines += [f"  {'':<{width}}    {line}" for line in param["info"].strip().splitlines()]
    if found["levels"]:
        lines += ["", "expands to"]
        lines += [f"  {'  ' * number}{level}" for number, level in enumerate(found["levels"])]
    if found.get("args"):
        lines += ["", "with"] + [f"  {line}" for line in found["args"]]
    if found.get("steps"):
        lines += ["", "steps"] + [f"  {line}" for line in found["steps"]]
    for issue in found["issues"]:
        lines.append(f"  {issue}")
    for line in lines:
        common.result(printable(line))
