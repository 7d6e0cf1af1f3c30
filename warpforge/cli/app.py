"""What every command shares: the common flags, accepted before and after the command's name."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from warpforge.errors import Invalid, WarpforgeError

if TYPE_CHECKING:
    from warpforge.cli.settings import Settings
    from warpforge.cli.tracing import Traces
    from warpforge.engine.options import Options


class Common:
    """The common flags of one call, and what the environment said."""

    def __init__(self) -> None:
        self.json = False
        self.quiet = False
        self.verbose = False
        self.max_unpacked: int | None = None
        self.conduct: dict[str, Any] = {}  # what the flags say of how actions are run
        self.trace_file = ""
        self.trace_http = False
        self.trace_insecure = False
        self.trace_endpoint = ""
        self.traces: Traces | None = None  # hears events, while a command is traced
        self.config_file = ""  # of pt: instead of the one in the configuration's directory
        self.give_back: Callable[[], None] = lambda: None  # the terminal, when we end at once
        self._settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        if self._settings is None:
            from warpforge.cli import settings

            self._settings = settings.read()
            for warning in self._settings.warnings:
                self.note(warning)
        return self._settings

    @property
    def catalog_at(self) -> tuple[str, ...]:
        """The roots of snapshots as of which catalogs are read."""
        return tuple(self.conduct.get("catalog_at", ()))

    def options(self, **more: Any) -> Options:
        """How an engine works: what the environment and the flags said, and ``more`` flags, as ``make_options``."""
        from warpforge.engine.options import make_options

        settings = self.settings
        said: dict[str, Any] = {
            "warehouse": settings.warehouse,
            "run_path": settings.run_path,
            "keep_run_dir": settings.keep_run_dir,
            "access": settings.access,
            "max_unpacked": self.max_unpacked,
            "variable": settings.variable,
            "directory": settings.cwd,
            **self.conduct,
        }
        return make_options({**said, **more})

    def note(self, message: str) -> None:
        """One line for a person, on stderr; silent under --quiet."""
        if self.quiet:
            return
        if self.json:
            sys.stdout.write(to_json({"log": {"Msg": message}}) + "\n")
        else:
            click.echo(printable(message), err=True)

    def result(self, text: str) -> None:
        """One line of result, on stdout."""
        click.echo(text)


def to_json(value: Any) -> str:
    """One JSON line."""
    import msgspec

    return msgspec.json.encode(value).decode()


def printable(text: str) -> str:
    """The text with every control character (but newline and tab) escaped, safe for a terminal."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def _set_text(name: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def callback(context: click.Context, _: click.Parameter, value: str | None) -> None:
        if value:
            setattr(context.find_root().ensure_object(Common), name, value)

    return callback


def _set(name: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(context: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 (click's shape)
        if value:
            setattr(context.find_root().ensure_object(Common), name, True)

    return callback


def _common_options() -> list[click.Parameter]:
    def flag(*names: str, field: str, text: str) -> click.Option:
        return click.Option(names, is_flag=True, expose_value=False, is_eager=True, callback=_set(field), help=text)

    def text(name: str, *, field: str, metavar: str, text: str) -> click.Option:
        callback = _set_text(field)
        return click.Option(
            (name, field), expose_value=False, is_eager=True, callback=callback, metavar=metavar, help=text
        )

    return [
        flag("--json", field="json", text="Write JSON lines on stdout, errors as JSON on stderr."),
        flag("--quiet", field="quiet", text="Only results and errors."),
        flag("--verbose", "-v", field="verbose", text="Say more."),
        text("--trace.file", field="trace_file", metavar="FILE", text="Write OpenTelemetry spans, one a line."),
        flag("--trace.http.enable", field="trace_http", text="Send spans to a collector, by OTLP over HTTP."),
        flag("--trace.http.insecure", field="trace_insecure", text="Without TLS."),
        text("--trace.http.endpoint", field="trace_endpoint", metavar="HOST:PORT", text="Where; localhost:4318."),
    ]


WARE: Final = "WAREID|MODULE:RELEASE:ITEM"  # how a ware is named on the command line: see engine.naming
CONTEXT: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Command(click.Command):
    """A command that also takes the common flags."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **kwargs)
        self.params.extend(_common_options())

    def invoke(self, ctx: click.Context) -> Any:
        common = ctx.find_root().ensure_object(Common)
        if common.trace_file or common.trace_http or common.trace_endpoint:
            from warpforge.cli.tracing import traced

            with traced(common, ctx.command_path):
                return super().invoke(ctx)
        return super().invoke(ctx)


class Group(click.Group):
    """A group whose commands are imported when they are called.

    ``lazy`` maps a command's name to ``module:attribute`` and its one line of help.
    """

    command_class = Command

    def __init__(
        self,
        *args: Any,
        lazy: dict[str, tuple[str, str]] | None = None,
        aliases: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **kwargs)
        self.params.extend(_common_options())
        self._lazy = lazy or {}
        self._aliases = aliases or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = self._aliases.get(cmd_name, cmd_name)
        if name not in self._lazy:
            return super().get_command(ctx, name)
        module, _, attribute = self._lazy[name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            if name in self._lazy:
                also = [a for a, n in self._aliases.items() if n == name]
                text = self._lazy[name][1] + (f" (also: {', '.join(also)})" if also else "")
            else:
                command = super().get_command(ctx, name)
                text = command.get_short_help_str(80) if command else ""
            rows.append((name, text))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


Group.group_class = Group

pass_common = click.make_pass_decorator(Common, ensure=True)


def show_error(common: Common, error: WarpforgeError) -> None:
    """One error, once: JSON on stderr under --json, else words."""
    if common.json:
        click.echo(to_json(error.to_serial()), err=True)
        return
    for number, link in enumerate(error.chain()):
        lead = "error" if number == 0 else "  because"
        click.echo(f"{lead}: {printable(link.message)}", err=True)
    cause = error.chain()[-1].details
    for line in cause.get("output", "").splitlines():
        click.echo(f"  | {printable(line)}", err=True)
    if "shell" in cause:
        click.echo(f"  to look into its box: {cause['shell']}", err=True)
    for finding in getattr(error.chain()[-1], "findings", ())[1:]:
        if str(finding) not in error.chain()[-1].message:
            click.echo(f"  also: {printable(str(finding))}", err=True)
    if common.verbose:
        for link in error.chain():
            details = " ".join(f"{key}={value!r}" for key, value in link.details.items())
            click.echo(f"  [{link.code}] {printable(details)}", err=True)
    else:
        click.echo(f"  [{error.chain()[-1].code}]", err=True)


def say_error(common: Common, error: WarpforgeError) -> None:
    """As ``show_error``, whatever the state of this process: nothing is raised."""
    try:
        show_error(common, error)
        sys.stderr.flush()
    except (
        OSError,
        ImportError,
        RuntimeError,
    ):  # nothing can be loaded any more, or a signal came while it was written
        with suppress(OSError):
            os.write(2, (_bare_json(error.to_serial()) if common.json else f"error: {error}").encode() + b"\n")
        sys.stderr = io.StringIO()  # what the other one may still hold would be said a second time


def _bare_json(value: object) -> str:
    """An error as JSON without loading anything."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_bare_json(key)}:{_bare_json(inner)}" for key, inner in value.items()) + "}"
    text = str(value).encode("utf-8", "replace").decode()
    return '"' + "".join(c if c >= " " and c not in '"\\\x7f' else f"\\u{ord(c):04x}" for c in text) + '"'


def refuse_argument(message: str) -> NoReturn:
    """The arguments are wrong. Errors: ``invalid-argument``."""
    raise Invalid("invalid-argument", message)
