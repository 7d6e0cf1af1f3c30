"""Durations and sizes, as people say them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import click

from warpforge.cli.app import Common
from warpforge.errors import Invalid
from warpforge.model.units import parse_duration, parse_size


class Duration(click.ParamType[float]):
    """``90s``, ``45m``, ``12h``, ``30d``, ``2w``, ``1y``; as seconds."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_duration(str(value))
        except Invalid as error:
            self.fail(error.message, param, ctx)


class Moment(click.ParamType[float]):
    """A moment: a duration ago, ``YYYY-MM-DD``, ``YYYY-MM-DD HH:MM[:SS]`` or ``HH:MM`` of today; as seconds since 1970.

    Times are those of the time zone of here.
    """

    name = "WHEN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        import time

        if not isinstance(value, str):
            return float(value)
        with suppress(Invalid):
            return time.time() - parse_duration(value)
        today = time.strftime("%Y-%m-%d ")
        for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"):
            for text in (value, today + value):
                try:
                    return time.mktime(time.strptime(text, form))
                except (ValueError, OverflowError):
                    continue
        return self.fail(f"{value!r} is no moment: 2h, 3d, 2026-05-01, '2026-05-01 14:30', 14:30", param, ctx)


class Size(click.ParamType[int]):
    """``500M``, ``10G`` (powers of 1000), ``10GiB`` (of 1024); as bytes."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return parse_size(str(value))
        except Invalid as error:
            self.fail(error.message, param, ctx)


def _allow(context: click.Context, _: click.Parameter, value: int | None) -> None:
    if value is not None:
        context.find_root().ensure_object(Common).max_unpacked = value


MAX_UNPACKED: Final = click.option(  # of every command that may meet an archive whose id is not verified yet
    "--max-unpacked",
    type=Size(),
    expose_value=False,
    callback=_allow,
    help="Let an archive unpack to so much before its id is verified; default: 64GiB, and no bombs.",
)


def size(count: int) -> str:
    """Bytes for people."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{count} B" if unit == "B" else f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
