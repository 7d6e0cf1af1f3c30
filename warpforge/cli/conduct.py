"""The options of every command that runs actions: which sandbox, which limits, where secrets come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from warpforge.cli.app import Common
from warpforge.errors import Invalid

F = TypeVar("F", bound=Callable[..., Any])
_SANDBOXES: Final = ("auto", "bwrap", "runc")


def conducted(command: F) -> F:
    """Add ``--sandbox``, ``--limit``, ``--secret`` and ``--allow-hazard``; what they say is in ``Common.conduct``."""
    options = [
        click.option(
            "--sandbox",
            type=click.Choice(_SANDBOXES),
            expose_value=False,
            callback=_choose,
            help="What makes the boxes; default: as config/sandbox.json says, else what is installed.",
        ),
        click.option(
            "--limit",
            multiple=True,
            metavar="NAME=VALUE",
            expose_value=False,
            callback=_limit,
            help="Stop a step that uses more: time=10m, memory=2G, pids=500, disk=10G, output=1M; none lifts one.",
        ),
        click.option(
            "--secret",
            multiple=True,
            metavar="NAME=SOURCE",
            expose_value=False,
            callback=_tell,
            help="Where a secret comes from: NAME=env:VARIABLE, NAME=file:PATH, NAME=cmd:COMMAND.",
        ),
        ALLOW_HAZARD,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _allow(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> None:
    for value in values:
        module, _, release = value.partition(":")
        if not module or not release or ":" in release:
            raise click.BadParameter(f"{value!r}: MODULE:RELEASE is wanted", context, parameter)
    if values:
        _conduct(context)["hazards"] = values


ALLOW_HAZARD: Final = click.option(
    "--allow-hazard",
    multiple=True,
    metavar="MODULE:RELEASE",
    expose_value=False,
    callback=_allow,
    help="Use a release although it is marked as hazardous.",
)


def _go_back(context: click.Context, _: click.Parameter, values: tuple[str, ...]) -> None:
    if values:
        _conduct(context)["catalog_at"] = values


CATALOG_AT: Final = click.option(  # of every command that resolves names
    "--catalog-at",
    multiple=True,
    metavar="ROOT",
    expose_value=False,
    callback=_go_back,
    help="Read a catalog as of a snapshot: see `catalog log`.",
)


def _conduct(context: click.Context) -> dict[str, Any]:
    return context.find_root().ensure_object(Common).conduct


def _choose(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        _conduct(context)["sandbox"] = value


def _limit(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> None:
    if not values:
        return
    from warpforge.model.limits import parse_limit

    found: dict[str, float] = {}
    for value in values:
        name, mark, text = value.partition("=")
        try:
            if not mark:
                raise Invalid("invalid", f"{value!r}: a limit is NAME=VALUE, as in memory=2G")
            found[name] = parse_limit(name, text)
        except Invalid as error:
            raise click.BadParameter(error.message, context, parameter) from None
    _conduct(context)["limits"] = found


def _tell(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> None:
    if not values:
        return
    from warpforge.model.atoms import Secret
    from warpforge.model.conduct import SecretSource

    found: dict[str, SecretSource] = {}
    for value in values:
        name, _, text = value.partition("=")
        try:
            Secret.parse(f"secret:{name}")
            found[name] = SecretSource.parse(text)
        except Invalid:
            # what was given may be the value itself, put here by mistake: it is not said again
            said = "NAME=env:VARIABLE, NAME=file:PATH or NAME=cmd:COMMAND; NAME in capitals, digits and _"
            raise click.BadParameter(f"where a secret comes from is {said}", context, parameter) from None
    _conduct(context)["secrets"] = found
