"""``warpforge check FILE...``: everything that is wrong with documents, each finding with its JSON pointer."""

from __future__ import annotations

import sys
from typing import Any

import click

from warpforge.cli.app import Command, Common, pass_common, printable, to_json
from warpforge.cli.files import read_document
from warpforge.errors import Invalid, WarpforgeError
from warpforge.model.audit import audit
from warpforge.model.findings import Finding, invalid_document
from warpforge.model.plot import Plot
from warpforge.model.serial import Loaded, dump, load_document
from warpforge.plan.order import rings


@click.command(cls=Command, name="check")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--strict", is_flag=True, help="Refuse what takes anything from outside of its hashes.")
@pass_common
def check(common: Common, files: tuple[str, ...], *, strict: bool) -> None:
    """Check documents: formulas, plots, modules, releases, mirrors, replays and the rest.

    Says all that is wrong at once, each with its JSON pointer; warnings do not fail. FILE may be - for standard
    input. With --verbose the canonical form of a right document is printed. With --strict a formula or plot must be
    hermetic: no mounts, ingests, candidates, secrets, images by tag, nor network.
    """
    errors = [error for file in files if (error := _check(common, file, strict=strict))]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        for error in errors if not common.json else ():
            print(f"error: {printable(error.message)}", file=sys.stderr)
        code = errors[0].code.removeprefix("warpforge-error-")
        raise Invalid(code, f"{len(errors)} of {len(files)} documents are not right", cause=errors[0])


def _check(common: Common, file: str, *, strict: bool) -> WarpforgeError | None:
    data = read_document(file)
    try:
        loaded = load_document(data, file)
        if isinstance(loaded.noun, Plot) and (found := rings(loaded.noun)):
            raise invalid_document("plot-invalid", file, found)
        if strict and (found := [*audit(loaded.noun)]):
            raise invalid_document("plot-invalid" if isinstance(loaded.noun, Plot) else "formula-invalid", file, found)
    except Invalid as error:
        _tell(common, file, getattr(error, "findings", None) or [Finding("", error.message, error.reason)], "error")
        return error
    _tell(common, file, loaded.warnings, "warning")
    _show(common, loaded)
    return None


def _tell(common: Common, file: str, findings: Any, level: str) -> None:
    if common.json:
        for finding in findings:
            print(to_json({"finding": {"document": file, "level": level, **finding.to_serial()}}))
    elif level == "warning" and not common.quiet:
        for finding in findings:
            _warn(file, finding)


def _warn(file: str, finding: Finding) -> None:
    print(f"warning: {printable(f'{file}: {finding}')}", file=sys.stderr)


def _show(common: Common, loaded: Loaded[Any]) -> None:
    if common.verbose and not common.json:
        sys.stdout.write(dump(loaded.noun).decode())
