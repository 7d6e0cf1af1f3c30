"""Which back-end makes the boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from warpforge.errors import Invalid, Unable
from warpforge.sandbox.owner import BUILD_UID

if TYPE_CHECKING:
    from warpforge.sandbox.backend import Backend

AUTO: Final = "auto"
NAMES: Final = ("bwrap", "runc")  # the quicker one first


def make_backend(name: str, *, build_uid: int = BUILD_UID) -> Backend:
    """One back-end by name, whether it works here or not. Errors: ``invalid-argument``."""
    if name == "bwrap":
        from warpforge.sandbox.bwrap import Bwrap

        return Bwrap(build_uid=build_uid)
    if name == "runc":
        from warpforge.sandbox.runc import Runc

        return Runc(build_uid=build_uid)
    raise Invalid("invalid-argument", f"no sandbox is called {name}: there are {', '.join(NAMES)} and {AUTO}")


def choose(name: str = AUTO) -> Backend:
    """The back-end that was asked for, and no other; for ``auto`` the first one that is installed.

    All of them keep the same promises. Errors: ``invalid-argument``; ``sandbox-unavailable`` when none is installed.
    """
    if name != AUTO:
        return make_backend(name)
    for candidate in map(make_backend, NAMES):
        if candidate.find_program() is not None:
            return candidate
    raise Unable(
        "sandbox-unavailable",
        "neither bwrap nor runc is installed: no box can be made; install one (Debian: apt-get install bubblewrap)",
        reason="bwrap",
    )
