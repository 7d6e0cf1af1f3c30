"""pt tools: what can be run here, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from warpforge.cli.app import Command, Common, Group, pass_common, printable, to_json

if TYPE_CHECKING:
    from warpforge.polytope.files.library import Library


def describe_tools(library: Library) -> list[dict[str, Any]]:
    """The modules and templates of the root file; templates are tools."""
    from warpforge.polytope.nouns import Template
    from warpforge.polytope.survey.showing import describe_parameter

    root = library.root
    found = []
    for noun in root.nouns if root else ():
        params = [describe_parameter(parameter) for parameter in noun.params]
        shown = [
            {"id": one["id"], "type": one["type"], "info": one["info"], "is-required": one["required"]}
            for one in params
        ]
        is_tool = isinstance(noun, Template)
        found.append({"id": noun.id, "info": noun.info, "is-tool": is_tool, "params": shown})
    return found


@click.group(cls=Group, name="tools")
def tools() -> None:
    """The tools, templates and modules of this project."""


@tools.command(cls=Command, name="list")
@click.option("-f", "--file", metavar="FILE", help="The polytope file; else the one that belongs to this directory.")
@pass_common
def list_tools(common: Common, file: str | None) -> None:
    """List the tools of this project, and what they take."""
    from warpforge.cli.pt_world import open_library

    for tool in describe_tools(open_library(common, file)):
        if common.json:
            common.result(to_json({"tool": tool}))
            continue
        takes = " ".join(one["id"] if one["is-required"] else f"[{one['id']}]" for one in tool["params"])
        common.result(printable(f"{tool['id']:<24} {takes}".rstrip()))


@tools.command(cls=Command, name="get")
@click.argument("reference", metavar="REF")
@click.option("-f", "--file", metavar="FILE", help="The polytope file; else the one that belongs to this directory.")
@click.pass_context
def get(context: click.Context, reference: str, file: str | None) -> None:
    """Show a tool, template or module, as `pt show` does."""
    from warpforge.cli.pt_show import show

    context.invoke(show, module=reference, file=file)
