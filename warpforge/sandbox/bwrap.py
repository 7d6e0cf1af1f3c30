"""The box made by bubblewrap."""

from __future__ import annotations

import os

from warpforge.sandbox.backend import Backend
from warpforge.sandbox.seccomp import make_filter


class Bwrap(Backend):
    """The back-end ``bwrap``."""

    name = "bwrap"
    package = "bubblewrap"
    overhead = 4  # watcher, init, bwrap and its child before it is the action

    def make_filters(self) -> tuple[bytes, bytes]:
        return make_filter(os.uname().machine), b""
