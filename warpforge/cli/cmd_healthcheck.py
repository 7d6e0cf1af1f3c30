"""``warpforge healthcheck`` (also ``doctor``): whether builds can run here, tried for real."""

from __future__ import annotations

from typing import Final

import click

from warpforge.cli.app import Command, Common, pass_common, printable, to_json
from warpforge.engine.health import BAD, OK, WARN, Check, can_build, examine
from warpforge.workspace.find import find_stack

EXIT: Final = 4  # as for every error of a machine that cannot
_MARKS: Final = {OK: ("ok", "green"), WARN: ("warn", "yellow"), BAD: ("NO", "red")}


@click.command(cls=Command, name="healthcheck")
@click.option("--offline", is_flag=True, help="Do not look whether mirrors answer.")
@pass_common
def healthcheck(common: Common, *, offline: bool) -> int:
    """Try each sandbox with a formula whose result is known, and look at all that builds need.

    The exit status is 0 when a build can run here, else 4.
    """
    settings = common.settings
    stack = find_stack(settings.cwd, settings.home or settings.cwd)
    options = common.options()
    checks: list[Check] = []
    for check in examine(stack, options, offline=offline):
        checks.append(check)
        if not common.json and not (common.quiet and check.state == OK):
            _show(check)
    good = can_build(checks)
    if common.json:
        rows = [{"name": c.name, "state": c.state, "text": c.text, "advice": c.advice} for c in checks]
        common.result(to_json({"healthcheck": {"ok": good, "checks": rows}}))
    elif not common.quiet or not good:
        common.result("builds can run here" if good else "no build can run here: see what says NO")
    return 0 if good else EXIT


def _show(check: Check) -> None:
    mark, colour = _MARKS[check.state]
    line = printable(f"{check.name:<14}{check.text}")
    click.echo(f"{click.style(f'{mark:<6}', fg=colour)}{line}")
    if check.advice and check.state != OK:
        click.echo(f"{'':<20}{printable(check.advice)}")
