"""The entry point: the command table, and the one place where an error becomes an exit status."""

from __future__ import annotations

import gc

# imports make many objects and no garbage: collecting while they run costs a tenth of a memoised run
gc.set_threshold(100_000, 20, 20)

import io  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from contextlib import suppress  # noqa: E402
from typing import NoReturn  # noqa: E402

import click  # noqa: E402

from warpforge import __version__  # noqa: E402
from warpforge.cli.app import Common, Group, show_error  # noqa: E402
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
    _mind_signals(common, argv)
    try:
        if f"_{name.upper()}_COMPLETE" in os.environ:  # a shell asks how a word may go on
            program.main(argv, standalone_mode=False, prog_name=name)
        # not program.main: that one makes its own of an interrupt and of a reader who left
        with program.make_context(name, argv, obj=common) as context:
            status = program.invoke(context)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as wrong:
        click.echo(wrong.format_message(), err=True)
        return 2
    except click.UsageError as wrong:
        message = wrong.format_message().rstrip(".")
        if wrong.ctx:
            message += f"{'' if message.endswith('?') else ';'} see {wrong.ctx.command_path} --help"
        common.json = common.json or "--json" in argv
        return _report(common, Invalid("invalid-argument", message))
    except click.ClickException as wrong:
        return _report(common, Invalid("invalid-argument", wrong.format_message()))
    except (KeyboardInterrupt, click.Abort):
        return _report(common, Failed("interrupted", "interrupted: everything that ran was stopped"))
    except BrokenPipeError:
        return EXIT_INTERRUPTED  # whoever read our output has gone
    except WarpforgeError as error:
        return _report(common, error)
    except OSError as error:
        return _report(common, Unable("syscall", f"{error.filename or 'output'}: {error.strerror}", cause=error))
    except ImportError as error:  # what is installed can be loaded, unless the system refuses
        return _report(common, Unable("syscall", f"a part of the program cannot be loaded: {error}", cause=error))
    except Exception as error:
        if os.environ.get("WARPFORGE_DEBUG"):
            raise
        where = _where(error)
        return _report(
            common,
            Internal("internal", f"our bug, please report it: {type(error).__name__}: {error} ({where})", where=where),
        )


def _report(common: Common, error: WarpforgeError) -> int:
    try:
        show_error(common, error)
    except (OSError, ImportError):  # perhaps only because nothing can be loaded any more
        with suppress(OSError):
            os.write(2, (_bare_json(error.to_serial()) if common.json else f"error: {error}").encode() + b"\n")
        sys.stderr = io.StringIO()  # what the other one may still hold would be said a second time
    if os.environ.get("WARPFORGE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    return error.exit_status()


def _open_missing_streams() -> None:
    """A caller may have closed them; then nobody is to hear what is written there."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))


def _bare_json(value: object) -> str:
    """An error as JSON without loading anything."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_bare_json(key)}:{_bare_json(inner)}" for key, inner in value.items()) + "}"
    text = str(value).encode("utf-8", "replace").decode()
    return '"' + "".join(c if c >= " " and c not in '"\\\x7f' else f"\\u{ord(c):04x}" for c in text) + '"'


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"


def _mind_signals(common: Common, argv: list[str]) -> None:
    """The first signal stops everything in order, the second at once; what a caller had us ignore stays ignored.

    Boxes die with this process whatever its end (their helpers watch it), and what was staged is swept at the next
    start, so ending at once leaves nothing behind either.
    """
    asked: list[int] = []

    def stop(number: int, _: object) -> None:
        asked.append(number)
        if len(asked) == 1:
            raise KeyboardInterrupt
        error = Failed("interrupted", "interrupted twice: stopped at once")
        with suppress(OSError, RuntimeError):
            common.give_back()
            if sys.stderr.isatty():
                sys.stderr.write("\033[?25h\r")  # the cursor, which a live picture had hidden
            common.json = common.json or "--json" in argv
            show_error(common, error)
            sys.stderr.flush()
        os._exit(EXIT_INTERRUPTED)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
