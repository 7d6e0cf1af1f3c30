"""pt tools: what can be run here, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from warpforge.cli.app import Command, Common, Group, pass_common, printable, to_json

if TYPE_CHECKING:
    from warpforge.polytope.files.library import Library
    from warpforge.polytope.nouns import Module, Template


def describe_tools(library: Library) -> list[dict[str, Any]]:
    """The modules and templates of all files, the root's first; of two with one id the nearer. Templates are tools."""
    found: dict[str, dict[str, Any]] = {}
    for file in library.files:
        for noun in file.nouns:
            found.setdefault(noun.id, _describe(noun))
    return list(found.values())


def _describe(noun: Module | Template) -> dict[str, Any]:
    from warpforge.polytope.nouns import Template
    from warpforge.polytope.survey.showing import describe_parameter
    from warpforge.polytope.types.schema import describe_type

    params = [
        {
            "id": one["id"],
            "type": one["type"],
            "info": one["info"],
            "is-required": one["required"],
            "schema": describe_type(parameter.type),
        }
        for parameter in noun.params
        for one in (describe_parameter(parameter),)
    ]
    return {"id": noun.id, "info": noun.info, "is-tool": isinstance(noun, Template), "params": params}


@click.group(cls=Group, name="tools")
def tools() -> None:
    """The tools, templates and modules of this project."""


@tools.command(cls=Command, name="list")
@click.option("-f", "--file", metavar="FILE", help="The polytope file; else the one that belongs to this directory.")
@pass_common
def list_tools(common: Common, file: str | None) -> None:
    """List the tools of this project and of what it includes, and what they take."""
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
