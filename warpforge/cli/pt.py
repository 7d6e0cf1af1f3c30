"""The entry point of ``pt``: jobs, modules and services that polytope files describe."""

from __future__ import annotations

from typing import Final, NoReturn

import click

from warpforge import __version__
from warpforge.cli.app import Common, Group
from warpforge.cli.main import call, leave

LAZY: Final[dict[str, tuple[str, str]]] = {
    "attach": ("warpforge.cli.pt_view:attach", "Look at a job that runs, as `pt run` shows it."),
    "call": ("warpforge.cli.pt_call:call", "Call a tool, and wait until it has done what it promises."),
    "check": ("warpforge.cli.pt_check:check", "Say everything that is wrong with polytope files."),
    "dataset": ("warpforge.cli.pt_volume:dataset", "List the datasets that containers left."),
    "debug": ("warpforge.cli.pt_debug:debug", "Look into the installation."),
    "exec": ("warpforge.cli.pt_exec:execute", "Run a command in a container of a job that runs."),
    "include": ("warpforge.cli.pt_include:include", "Make another file's modules and tools usable here."),
    "list-services": ("warpforge.cli.pt_ps:list_services", "List the services that run here, and their addresses."),
    "lock": ("warpforge.cli.pt_lock:lock", "Write down which digest each image's name means."),
    "logs": ("warpforge.cli.pt_logs:logs", "Show what the steps and containers of jobs said."),
    "ps": ("warpforge.cli.pt_ps:ps", "List the jobs that run here, their steps, containers and services."),
    "run": ("warpforge.cli.pt_run:run", "Run modules and templates as a job."),
    "export": ("warpforge.cli.pt_plan:export", "Write the steps of a job as a plot."),
    "plan": ("warpforge.cli.pt_plan:plan", "Tell which steps of a job are formulas, and why others are not."),
    "secrets": ("warpforge.cli.pt_stored:secrets", "Set and list secrets, encrypted at rest."),
    "serve": ("warpforge.cli.pt_serve:serve", "Start templates by schedules and by what happens in the repository."),
    "services": ("warpforge.cli.pt_ps:services", "The services of the jobs that run here."),
    "show": ("warpforge.cli.pt_show:show", "Show modules: parameters, defaults, what they expand to."),
    "stop": ("warpforge.cli.pt_stop:stop", "Stop a service, a container, a step, or a job."),
    "tools": ("warpforge.cli.pt_tools:tools", "List and show what can be run here."),
    "volume": ("warpforge.cli.pt_volume:volume", "List and remove the volumes of this project."),
    "values": ("warpforge.cli.pt_stored:values", "Set and list the values that modules refer to."),
}
ALIASES: Final[dict[str, str]] = {"secret": "secrets", "value": "values"}


@click.group(cls=Group, lazy=LAZY, aliases=ALIASES, name="pt", no_args_is_help=True)
@click.version_option(__version__, "--version", message="%(version)s")
@click.option("--config-file", metavar="FILE", help="The configuration; ~/.config/polytope/config.yaml.")
@click.pass_obj
def pt(common: Common, config_file: str | None) -> None:
    """Jobs, modules and services, as polytope files describe them."""
    common.config_file = config_file or ""


def main() -> NoReturn:
    """Run the command line and exit."""
    import sys

    leave(call(sys.argv[1:], pt, "pt"))
