"""``warpforge why``: what makes a step run, down to the field, the input, the release or the file."""

from __future__ import annotations

import click

from warpforge.cli.app import Command, Common, pass_common, to_json
from warpforge.cli.conduct import CATALOG_AT


@click.command(cls=Command, name="why")
@click.argument("step")
@click.argument("target", required=False, metavar="[FILE|DIR]")
@CATALOG_AT
@pass_common
def why(common: Common, step: str, target: str | None) -> None:
    """Tell why a step would run now, or, when the memo answers, why it ran the last time.

    STEP is a step's name, or its path through subplots as the other commands show it; for a formula that stands alone
    it is "formula". What changed since the command before is told down to the field, the input, the catalog's release
    and the file; a change that another step caused leads on to that step. Inputs from this machine are ingested, as a
    run would; nothing is executed.
    """
    from warpforge.cli.jsonlines import serial_reason
    from warpforge.cli.reasons import lines
    from warpforge.cli.render import make_reporter
    from warpforge.engine.answer import answer
    from warpforge.engine.engine import Engine
    from warpforge.workspace.find import find_stack
    from warpforge.workspace.targets import find_targets

    settings = common.settings
    [found] = find_targets([target] if target else [], settings.cwd)
    options = common.options()
    reporter = make_reporter(common)
    with Engine(find_stack(found.path.parent, settings.home), reporter, options) as engine, engine.store.use():
        told = answer(engine, found, step)
    reporter.close()
    if common.json:
        common.result(to_json({"why": {"state": told.state, **serial_reason(told.reason)}}))
        return
    if told.state == "hit":
        common.result("nothing would run: the memo answers; the last time")
    for line in lines(told.reason):
        common.result(line)
