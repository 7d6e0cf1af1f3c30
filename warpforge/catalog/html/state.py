"""State: what the pages of a site were made from, so that what did not change is not made again.

It lies in the workspace and not beside the pages: these may stand in the catalog, and that may be somebody else's.
"""

from __future__ import annotations

import os
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path

import msgspec

from warpforge.errors import store_error
from warpforge.fsx.atomic import make_dirs, write_atomic

from .search import Named
from .survey import Survey


@cache
def maker() -> str:
    """What makes the pages, as a digest: with other code the same facts are other pages."""
    digest = blake2b(digest_size=15)
    for package in ("warpforge.picture", "warpforge.catalog.html"):
        entries = [entry for entry in files(package).iterdir() if entry.is_file()]
        for entry in sorted(entries, key=lambda entry: entry.name):
            digest.update(entry.read_bytes())
    return digest.hexdigest()


class State(msgspec.Struct):
    """``form``: what made the pages; ``surveys`` by module.

    ``made``: for each module all that its pages depend on, as one digest; ``names``: its releases, items and wares.
    """

    form: str
    surveys: dict[str, Survey] = {}
    made: dict[str, str] = {}
    names: dict[str, Named] = {}


def load_state(path: Path) -> State:
    """What is known of a site; nothing when there is none, or one of another version."""
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError):
        return State(maker())
    return state if state.form == maker() else State(maker())


def save_state(path: Path, state: State) -> None:
    """Errors: ``store``."""
    try:
        make_dirs(os.path.dirname(path), sync=False)
        write_atomic(path, msgspec.json.encode(state), sync=False)
    except OSError as error:
        raise store_error(error, f"cannot write {path}") from error
