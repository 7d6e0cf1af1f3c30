"""Documents named on the command line: read whole, ``-`` is standard input."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from warpforge.errors import Missing, Unable

if TYPE_CHECKING:
    from pathlib import Path

STDIN: Final = "-"


def read_document(path: str) -> bytes:
    """The bytes of one document, at most one more than a document may have. Errors: ``missing``, ``io``."""
    from warpforge.model.serial import SIZE_LIMIT

    if path == STDIN:
        return sys.stdin.buffer.read(SIZE_LIMIT + 1)
    try:
        with open(path, "rb") as file:
            return file.read(SIZE_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Missing("missing", f"{path}: there is no such file", cause=error, path=path) from error
    except IsADirectoryError as error:
        hint = next((name for name in ("plot.wf", "module.wf") if os.path.exists(os.path.join(path, name))), None)
        advice = f"; did you mean {os.path.join(path, hint)}?" if hint else ""
        raise Missing(
            "missing", f"{path} is a directory, a document is wanted{advice}", cause=error, path=path
        ) from error
    except OSError as error:
        raise Unable("io", f"{path} cannot be read: {error.strerror}", cause=error, path=path) from error


def write_output(path: str, text: str) -> None:
    """Write or replace a file that a person asked for. Errors: ``store``."""
    from warpforge.errors import store_error

    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise store_error(error, f"cannot write {path}") from error


def rewrite(path: str | Path, data: bytes) -> None:
    """Replace a document of a person's, whole or not at all; what a link leads to, with its mode. Errors: ``store``."""
    from warpforge.errors import store_error
    from warpforge.fsx.atomic import write_atomic

    target = os.path.realpath(path)
    try:
        write_atomic(target, data, os.stat(target).st_mode & 0o777)
    except OSError as error:
        raise store_error(error, f"cannot write {path}") from error
