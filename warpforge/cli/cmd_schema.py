"""``warpforge schema``: what each kind of JSON line holds."""

from __future__ import annotations

import json

import click

from warpforge.cli.app import Command, Common, pass_common
from warpforge.cli.schemas import ON_STDERR, every_line, kinds
from warpforge.cli.schemas import schema as schema_of
from warpforge.errors import Missing


@click.command(cls=Command, name="schema")
@click.argument("kind", required=False, metavar="[KIND]")
@click.option("--all", "is_all", is_flag=True, help="One schema for every line that may stand on stdout.")
@pass_common
def schema(common: Common, kind: str | None, *, is_all: bool) -> None:
    """Print the JSON Schema of a kind of line that --json writes; without KIND list the kinds."""
    if is_all:
        common.result(json.dumps(every_line(), ensure_ascii=False))
        return
    known = kinds()
    if kind is None:
        width = max(map(len, known))
        for name in known:
            place = "stderr" if name in ON_STDERR else "stdout"
            common.result(f"{name:<{width}}  {place}  {schema_of(name)['description']}")
        return
    if kind not in known:
        raise Missing("missing", f"no line is of the kind {kind}: `warpforge schema` lists the kinds", what=kind)
    common.result(json.dumps(schema_of(kind), indent=None if common.json else "\t", ensure_ascii=False))
