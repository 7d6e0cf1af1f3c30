"""Documents: what a target names on disk, read and checked, and where it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from warpforge.engine.job import Where
from warpforge.errors import Missing, Unable

if TYPE_CHECKING:
    from warpforge.model.formula import FormulaFile
    from warpforge.model.plot import Plot
    from warpforge.workspace.targets import Target


def read_formula(target: Target) -> tuple[FormulaFile, Where]:
    """A formula's file, and where it is. Errors: ``missing``, ``io``, ``formula-invalid``..."""
    from warpforge.model.serial import load_formula

    return load_formula(_read(target.path), str(target.path)).noun, _where(target.path)


def read_plot(target: Target) -> tuple[Plot, Where]:
    """A target's plot, and where it is. Errors: ``missing``, ``io``, ``plot-invalid``, ``module-invalid``..."""
    from warpforge.model.findings import invalid_document
    from warpforge.model.serial import load_module, load_plot
    from warpforge.plan.order import rings

    name = ""
    if target.kind == "module":
        name = load_module(_read(target.path), str(target.path)).noun.name
    plot = load_plot(_read(target.plot), str(target.plot)).noun
    if found := rings(plot):
        raise invalid_document("plot-invalid", str(target.plot), found)
    return plot, _where(target.plot, name)


def _where(document: Path, name: str = "") -> Where:
    return Where(Path(os.path.abspath(document)), name)


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise Missing("missing", f"{path}: there is no such file", cause=error, path=path) from error
    except OSError as error:
        raise Unable("io", f"{path} cannot be read: {error.strerror}", cause=error, path=path) from error
