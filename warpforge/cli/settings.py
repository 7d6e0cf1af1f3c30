"""What the environment says: the only look at ``os.environ``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from warpforge.errors import Missing


class Settings(NamedTuple):
    """The environment's part of a command.

    ``warehouse`` replaces the warehouse for this command; ``run_path`` is where boxes work;
    ``keep_run_dir`` keeps their directories; ``debug`` shows tracebacks.
    """

    home: Path | None
    cwd: Path
    warehouse: Path | None
    run_path: Path | None
    keep_run_dir: bool
    debug: bool
    columns: int | None
    warnings: tuple[str, ...]


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Errors: ``missing`` when the working directory is gone."""
    env = os.environ if environ is None else environ
    try:
        cwd = Path.cwd()
    except OSError as error:
        raise Missing("missing", "the working directory no longer exists: change to another", cause=error) from error
    home = env.get("HOME", "")
    warnings: tuple[str, ...] = ()
    if env.get("WARPFORGE_PATH"):
        warnings = ("WARPFORGE_PATH is ignored: no plugins are needed",)
    columns = env.get("COLUMNS", "")
    return Settings(
        home=Path(home) if home.startswith("/") else None,
        cwd=cwd,
        warehouse=_path(cwd, env.get("WARPFORGE_WAREHOUSE")),
        run_path=_path(cwd, env.get("WARPFORGE_RUNPATH")),
        keep_run_dir=bool(env.get("WARPFORGE_KEEP_RUNDIR")),
        debug=bool(env.get("WARPFORGE_DEBUG")),
        columns=int(columns) if columns.isdigit() else None,
        warnings=warnings,
    )


def _path(cwd: Path, text: str | None) -> Path | None:
    return cwd / text if text else None
