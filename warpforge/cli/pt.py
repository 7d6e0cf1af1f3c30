"""The entry point of ``pt``: jobs, modules and services that polytope files describe."""

from __future__ import annotations

from typing import Final, NoReturn

import click

from warpforge import __version__
from warpforge.cli.app import Group
from warpforge.cli.main import call, leave

LAZY: Final[dict[str, tuple[str, str]]] = {
    "check": ("warpforge.cli.pt_check:check", "Say everything that is wrong with polytope files."),
    "secrets": ("warpforge.cli.pt_stored:secrets", "Set and list secrets, encrypted at rest."),
    "show": ("warpforge.cli.pt_show:show", "Show modules: parameters, defaults, what they expand to."),
    "values": ("warpforge.cli.pt_stored:values", "Set and list the values that modules refer to."),
}
ALIASES: Final[dict[str, str]] = {"secret": "secrets", "value": "values"}


@click.group(cls=Group, lazy=LAZY, aliases=ALIASES, name="pt", no_args_is_help=True)
@click.version_option(__version__, "--version", message="%(version)s")
def pt() -> None:
    """Jobs, modules and services, as polytope files describe them."""


def main() -> NoReturn:
    """Run the command line and exit."""
    import sys

    leave(call(sys.argv[1:], pt, "pt"))
