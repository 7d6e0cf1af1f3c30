"""Durations and sizes, as people say them."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from warpforge.cli.app import Common

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|w|y)?\Z")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(i?)B?\Z", re.IGNORECASE)
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


class Duration(click.ParamType[float]):
    """``90s``, ``45m``, ``12h``, ``30d``, ``2w``, ``1y``; as seconds."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = _DURATION.match(value) if isinstance(value, str) else None
        if found is None or (found[2] is None and float(found[1])):
            self.fail(f"{value!r} is no duration: 90s, 45m, 12h, 30d, 2w, 1y", param, ctx)
        return float(found[1]) * _SECONDS[found[2] or "s"]


class Moment(click.ParamType[float]):
    """A moment: a duration ago, ``YYYY-MM-DD``, ``YYYY-MM-DD HH:MM[:SS]`` or ``HH:MM`` of today; as seconds since 1970.

    Times are those of the time zone of here.
    """

    name = "WHEN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        import time

        if not isinstance(value, str):
            return float(value)
        found = _DURATION.match(value)
        if found is not None:
            return time.time() - float(found[1]) * _SECONDS[found[2] or "s"]
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
        found = _SIZE.match(value) if isinstance(value, str) else None
        if found is None:
            self.fail(f"{value!r} is no size: 500M, 10G, 10GiB", param, ctx)
        return int(float(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2].upper()])


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
