"""``warpforge report``: one command, told on one page."""

from __future__ import annotations

import sys

import click

from warpforge.cli.app import Command, Common, pass_common


@click.command(cls=Command, name="report")
@click.argument("run", required=False, default="", metavar="[RUN]")
@click.option("--output", "-o", metavar="FILE", default="report.html", show_default=True, help="- is standard output.")
@pass_common
def report(common: Common, run: str, output: str) -> None:
    """Write a self-contained page about a command: graph, timeline, what each step said, had and gave, and why it ran.

    RUN is the id of a command or of one of its runs, or its beginning; without it the last `run` here is told of.
    The page asks for nothing from anywhere, and can be read on a phone.
    """
    from warpforge.cli.render import PlainLines
    from warpforge.cli.report_html import page
    from warpforge.engine.account import account
    from warpforge.engine.engine import Engine
    from warpforge.errors import store_error
    from warpforge.workspace.find import find_stack

    settings = common.settings
    options = common.options(look=True)
    with Engine(find_stack(settings.cwd, settings.home), PlainLines(common), options) as engine:
        pieces = list(page(account(engine, run)))
    if output == "-":
        sys.stdout.writelines(pieces)
        return
    try:
        with open(output, "w", encoding="utf-8") as file:
            file.writelines(pieces)
    except OSError as error:
        raise store_error(error, f"cannot write {output}") from error
    common.note(f"wrote {output}")
