"""The entry point: the command table, and the one place where an error becomes an exit status."""

from __future__ import annotations

import gc

# imports make many objects and no garbage: collecting while they run costs a tenth of a memoised run
gc.set_threshold(100_000, 20, 20)

import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402

if os.path.basename(sys.argv[0]) in ("warpforge", "wf", "pt") and callable(signal.getsignal(signal.SIGINT)):
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as long as nothing has begun there is nothing to tell

from contextlib import suppress  # noqa: E402
from typing import NoReturn  # noqa: E402

import click  # noqa: E402

from warpforge import __version__  # noqa: E402
from warpforge.cli.app import Common, Group, say_error  # noqa: E402
from warpforge.cli.signals import Signals  # noqa: E402
from warpforge.errors import EXIT_INTERRUPTED, Failed, Internal, Invalid, Unable, WarpforgeError  # noqa: E402

LAZY = {
    "attest": ("warpforge.cli.cmd_attest:attest", "Tell how a release was made, for other tools, signed."),
    "capsule": ("warpforge.cli.cmd_capsule:capsule", "A module with all that it is built from, in one file."),
    "catalog": ("warpforge.cli.cmd_catalog:catalog", "Name releases of wares, and look them up."),
    "check": ("warpforge.cli.cmd_check:check", "Check documents and say everything that is wrong with them."),
    "explain": ("warpforge.cli.cmd_explain:explain", "Tell where a ware comes from, and who uses it."),
    "fmt": ("warpforge.cli.cmd_fmt:fmt", "Rewrite documents in their canonical form."),
    "healthcheck": (
        "warpforge.cli.cmd_healthcheck:healthcheck",
        "Try whether builds can run here.",
    ),
    "id": ("warpforge.cli.cmd_id:id_", "Print the id of a formula, plot or release document."),
    "log": ("warpforge.cli.cmd_log:log", "Show what ran, when, how long, and what it said."),
    "mirror": ("warpforge.cli.cmd_mirror:mirror", "Push wares to mirrors, pull them, list them."),
    "plan": ("warpforge.cli.cmd_plan:plan", "Tell what a run would do, without doing it."),
    "quickstart": ("warpforge.cli.cmd_quickstart:quickstart", "Write a first module and plot here."),
    "replay": ("warpforge.cli.cmd_replay:replay", "Build releases again from their replays, and compare."),
    "reproduce": ("warpforge.cli.cmd_reproduce:reproduce", "Run steps again, varied, and name what changes outputs."),
    "report": ("warpforge.cli.cmd_report:report", "Write a page about what a command did, and why."),
    "run": ("warpforge.cli.cmd_run:run", "Run modules, plots and formulas."),
    "shell": ("warpforge.cli.cmd_shell:shell", "Enter the box of a step, before its action or as it failed."),
    "schema": ("warpforge.cli.cmd_schema:schema", "Print the schemas of JSON lines."),
    "status": ("warpforge.cli.cmd_status:status", "Show the module, the workspaces and this machine."),
    "store": ("warpforge.cli.cmd_store:store", "Look after the store: verify, repair, stats, gc."),
    "warehouse": ("warpforge.cli.cmd_warehouse:warehouse", "Serve the wares of this workspace to other machines."),
    "ware": ("warpforge.cli.cmd_ware:ware", "Pack, scan, unpack and show wares."),
    "why": ("warpforge.cli.cmd_why:why", "Tell what makes a step run."),
}


ALIASES = {"info": "status", "doctor": "healthcheck"}


@click.group(cls=Group, lazy=LAZY, aliases=ALIASES, name="warpforge", no_args_is_help=True)
@click.version_option(__version__, "--version", message="%(version)s")
def app() -> None:
    """Hashes go in, hashes come out: run builds in sealed boxes, once."""


def main() -> NoReturn:
    """Run the command line and exit. Errors never show a traceback, unless WARPFORGE_DEBUG is set."""
    leave(call(sys.argv[1:]))


def leave(status: int) -> NoReturn:
    """End this process once everything was said."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    # everything is closed by now: taking the interpreter apart would only cost a fifth of a memoised run
    os._exit(status)


def call(argv: list[str], program: click.Group = app, name: str = "warpforge") -> int:
    """Run one command line of a program; gives the exit status."""
    common = Common()
    _open_missing_streams()
    signals = Signals(common, argv)
    try:
        try:
            signals.mind()
            return _call(argv, common, program, name)
        finally:
            signals.are_heard = False  # what is to be told is told whole
    except click.exceptions.Exit as done:
        return done.exit_code
    except SystemExit:  # a shell was told how a word may go on
        raise
    except BaseException as error:
        if signals.asked:  # whatever came of it: what was taken apart halfway may complain of anything
            common.json = common.json or "--json" in argv
            return _report(common, Failed("interrupted", "interrupted: everything that ran was stopped"))
        return _fail(error, argv, common)


def _call(argv: list[str], common: Common, program: click.Group, name: str) -> int:
    if f"_{name.upper()}_COMPLETE" in os.environ:  # a shell asks how a word may go on
        program.main(argv, standalone_mode=False, prog_name=name)
    # not program.main: that one makes its own of an interrupt and of a reader who left
    with program.make_context(name, argv, obj=common) as context:
        status = program.invoke(context)
    sys.stdout.flush()
    return status if isinstance(status, int) else 0


def _fail(error: BaseException, argv: list[str], common: Common) -> int:
    """Say what went wrong; gives the exit status."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return 2
    if isinstance(error, BrokenPipeError):
        return EXIT_INTERRUPTED  # whoever read our output has gone
    if isinstance(error, click.UsageError):
        common.json = common.json or "--json" in argv
    told = _explain(error)
    if isinstance(told, Internal) and os.environ.get("WARPFORGE_DEBUG"):
        raise error
    return _report(common, told)


def _explain(error: BaseException) -> WarpforgeError:
    """Any error as one of ours."""
    if isinstance(error, WarpforgeError):
        return error
    if isinstance(error, click.UsageError):
        message = error.format_message().rstrip(".")
        if error.ctx:
            message += f"{'' if message.endswith('?') else ';'} see {error.ctx.command_path} --help"
        return Invalid("invalid-argument", message)
    if isinstance(error, click.ClickException):
        return Invalid("invalid-argument", error.format_message())
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return Failed("interrupted", "interrupted: everything that ran was stopped")
    if isinstance(error, OSError):
        return Unable("syscall", f"{error.filename or 'output'}: {error.strerror}", cause=error)
    if isinstance(error, ImportError):  # what is installed can be loaded, unless the system refuses
        return Unable("syscall", f"a part of the program cannot be loaded: {error}", cause=error)
    where = _where(error)
    return Internal("internal", f"our bug, please report it: {type(error).__name__}: {error} ({where})", where=where)


def _report(common: Common, error: WarpforgeError) -> int:
    say_error(common, error)
    if os.environ.get("WARPFORGE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    return error.exit_status()


def _open_missing_streams() -> None:
    """A caller may have closed them; then nobody is to hear what is written there."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"
