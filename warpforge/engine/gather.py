"""Gather: what a box left at an output's path becomes a ware in the warehouse, or a literal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, UnsetType

from warpforge.engine.furnish import SET
from warpforge.engine.keep import keep_tree
from warpforge.errors import Failed, Invalid
from warpforge.model.atoms import FilterMap, Literal, WareId
from warpforge.model.formula import Formula, GatherDirective

if TYPE_CHECKING:
    from warpforge.fsx.tree import Content, Entry
    from warpforge.pack.filters import Filters
    from warpforge.store.store import Store

VALUE_LIMIT: Final = 64 << 10
PACKTYPES: Final = ("tar", "ztar", "zip")


def check_gathers(formula: Formula) -> None:
    """Refuse before anything runs what could not be packed afterwards. Errors: ``formula-invalid``."""
    for label, gather in formula.outputs.items():
        if gather.source.is_variable:
            continue
        packtype = packtype_of(gather)
        if packtype not in PACKTYPES:
            raise Invalid("formula-invalid", f"output {label}: nothing can be packed as {packtype}", reason="packtype")
        filters_of(gather)


def packtype_of(gather: GatherDirective) -> str:
    """No packtype means tar, for ever."""
    return "tar" if gather.packtype is UNSET else gather.packtype


def filters_of(gather: GatherDirective) -> Filters:
    """The filters of an output, over the row of defaults for outputs. Errors: ``formula-invalid``."""
    from warpforge.pack.filters import OUTPUT

    return read_filters(OUTPUT, gather.filters)


def read_filters(row: Filters, filters: FilterMap | UnsetType) -> Filters:
    """A row of defaults with what a document says. Errors: ``formula-invalid``."""
    if filters is UNSET:
        return row
    try:
        return row.replace(filters.to_serial())
    except Invalid as error:
        raise Invalid("formula-invalid", error.message, reason="filters") from None


def keep_output(
    store: Store, label: str, gather: GatherDirective, entries: Iterable[tuple[Entry, Content | None]]
) -> WareId:
    """Pack a gathered tree into the warehouse. Errors: ``output-invalid``, ``ware-mismatch``, ``store``."""
    try:
        return keep_tree(store, entries, packtype_of(gather), filters_of(gather))
    except Invalid as error:
        raise Failed("output-invalid", f"output {label}: {error.message}", reason="type") from None


def read_value(label: str, gather: GatherDirective, entries: Iterable[tuple[Entry, Content | None]]) -> Literal:
    """The value of a variable after the script. Errors: ``output-invalid``."""
    data = b""
    for _, content in entries:
        while content and (block := content.read(VALUE_LIMIT)):
            data += block if len(data) <= VALUE_LIMIT else b""
    variable = gather.source
    if not data.startswith(SET):
        raise Failed("output-invalid", f"output {label}: {variable} is not set after the script", reason="missing")
    if len(data) > VALUE_LIMIT + len(SET):
        raise Failed("output-invalid", f"output {label}: the value of {variable} is over 64 KiB", reason="limit")
    try:
        return Literal(data.removeprefix(SET).decode())
    except UnicodeDecodeError as error:
        raise Failed(
            "output-invalid", f"output {label}: the value of {variable} is not UTF-8", cause=error, reason="type"
        ) from error
