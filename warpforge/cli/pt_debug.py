"""pt debug: is this machine fit for jobs?"""

from __future__ import annotations

import click

from warpforge.cli.app import Command, Group


@click.group(cls=Group, name="debug")
def debug() -> None:
    """Look into the installation."""


@debug.command(cls=Command, name="doctor")
@click.pass_context
def doctor(context: click.Context) -> None:
    """Try whether boxes can run here, as `warpforge healthcheck` does."""
    from warpforge.cli.cmd_healthcheck import healthcheck

    context.invoke(healthcheck)
