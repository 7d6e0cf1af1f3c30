"""``warpforge id FILE``: the id of a document."""

from __future__ import annotations

import click

from warpforge.cli.app import Command, Common, pass_common, to_json
from warpforge.cli.files import read_document
from warpforge.errors import Invalid
from warpforge.model.catalog import Release
from warpforge.model.formula import FormulaFile
from warpforge.model.ident import document_id
from warpforge.model.plot import Plot
from warpforge.model.serial import load_document


@click.command(cls=Command, name="id")
@click.argument("file")
@pass_common
def id_(common: Common, file: str) -> None:
    """Print the id of a formula, plot or release document. FILE may be - for standard input."""
    noun = load_document(read_document(file), file).noun
    if isinstance(noun, FormulaFile):
        noun = noun.formula
    elif not isinstance(noun, Plot | Release):
        kind = type(noun).__name__.lower()
        raise Invalid("invalid-argument", f"{file} is a {kind}: only formulas, plots and releases have ids", path=file)
    found = document_id(noun.to_serial())
    common.result(to_json({"id": found}) if common.json else found)
