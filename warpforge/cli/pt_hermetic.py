"""``--hermetic``: which containers of a job are run as formulas, though its files say nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from warpforge.errors import Missing

if TYPE_CHECKING:
    from warpforge.polytope.files.library import Library
    from warpforge.polytope.hermetic.choosing import Choice

F = TypeVar("F", bound=Callable[..., Any])
EVERY: Final = "Every container that can be one is a formula: pinned, no services, volumes, or mounts of this machine."
ONLY: Final = "This step or module is a formula, as if its file said hermetic: true."


def choosing(command: F) -> F:
    """Add ``--hermetic`` and ``--hermetic-only``."""
    command = click.option("--hermetic-only", "only", multiple=True, metavar="STEP|MODULE", help=ONLY)(command)
    return click.option("--hermetic/--no-hermetic", "hermetic", default=None, help=EVERY)(command)


def default_choice(library: Library) -> Choice:
    """As the project's file says."""
    from warpforge.polytope.hermetic.choosing import Choice

    return Choice(every=library.root is not None and library.root.is_hermetic)


def make_choice(library: Library, *, hermetic: bool | None, only: Collection[str]) -> Choice:
    """As the options say; where they do not, as the file does."""
    choice = default_choice(library)
    return choice._replace(every=choice.every if hermetic is None else hermetic, names=frozenset(only))


def refuse_strangers(choice: Choice, steps: Sequence[str], library: Library) -> None:
    """Errors: ``missing``, for a name that is neither a step's nor a module's."""
    for name in sorted(choice.names - {*steps}):
        try:
            library.find(name)
        except Missing as error:
            what = f"--hermetic-only {name}: no step and no module is called so; the steps are {', '.join(steps)}"
            raise Missing("missing", what, cause=error, step=name) from error
