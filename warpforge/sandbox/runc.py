"""The box made by runc, as containers are."""

from __future__ import annotations

import os

from warpforge.errors import Unable
from warpforge.sandbox.backend import Backend, Programs
from warpforge.sandbox.seccomp import RUNTIME_NEEDS, make_filter, make_profile
from warpforge.sandbox.spec import BoxSpec


class Runc(Backend):
    """The back-end ``runc``. Its boxes know only uid 0: as one real uid stands behind them, and runc needs that one."""

    name = "runc"
    package = "runc"
    overhead = 32  # watcher and init; runc has a thread for many things until it has started the action

    def check(self, spec: BoxSpec) -> None:
        if (spec.uid or spec.gid or spec.user) and spec.ids is None:
            raise Unable(
                "sandbox-unavailable",
                "with runc an action is always uid 0 and gid 0: run it with --sandbox bwrap",
                reason="userinfo",
            )

    def make_filters(self, without: frozenset[str], *, pretending: bool) -> Programs:
        import json

        machine = os.uname().machine
        profile = make_profile(machine, without, pretending=pretending)
        return Programs(json.dumps(profile).encode(), make_filter(machine, RUNTIME_NEEDS | without))
