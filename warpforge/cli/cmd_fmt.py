"""``warpforge fmt FILE...``: documents in their canonical form. The id never changes."""

from __future__ import annotations

import sys

import click

from warpforge.cli.app import Command, Common, pass_common
from warpforge.cli.files import STDIN, read_document, rewrite
from warpforge.errors import Failed
from warpforge.model.serial import fmt as canonical


@click.command(cls=Command, name="fmt")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; fail when a document is not canonical.")
@pass_common
def fmt(common: Common, files: tuple[str, ...], *, only_check: bool) -> None:
    """Rewrite documents in their canonical form: tabs, fields in schema order, one final newline.

    FILE may be - : standard input is read and standard output written.
    """
    unlike = []
    for file in files:
        data = read_document(file)
        formed = canonical(data, file)
        if only_check:
            unlike += [file] * (formed != data)
        elif file == STDIN:
            sys.stdout.write(formed.decode())
        elif formed != data:
            rewrite(file, formed)
            common.note(f"formatted {file}")
    if unlike:
        raise Failed("invalid", f"not canonical: {', '.join(unlike)}; warpforge fmt rewrites them", reason="canonical")
