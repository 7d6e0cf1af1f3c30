"""The box made by bubblewrap."""

from __future__ import annotations

import os
from typing import Final

from warpforge.errors import Unable
from warpforge.sandbox.backend import Backend, Programs
from warpforge.sandbox.seccomp import make_filter, make_noticing, make_pretending, name_calls
from warpforge.sandbox.spec import BoxSpec
from warpforge.sandbox.stepdown import can_step_down

_HIGHEST: Final = 2**31 - 1


class Bwrap(Backend):
    """The back-end ``bwrap``."""

    name = "bwrap"
    package = "bubblewrap"
    overhead = 5  # watcher, init, registrar, bwrap and its child before it is the action

    def check(self, spec: BoxSpec) -> None:
        if max(spec.uid, spec.gid) > _HIGHEST:
            raise Unable(
                "sandbox-unavailable", f"bwrap knows no uid or gid above {_HIGHEST}: choose another", reason="userinfo"
            )

        if spec.ids is not None and not can_step_down():
            raise Unable(
                "sandbox-unavailable",
                "with bwrap boxes of many uids are made on x86_64 and aarch64 alone: run it with --sandbox runc",
                reason="machine",
            )

    def make_filters(self, without: frozenset[str], *, pretending: bool) -> Programs:
        machine = os.uname().machine
        rules = make_filter(machine, without)
        if not pretending:
            return Programs(rules)
        return Programs(rules, b"", make_noticing(machine), make_pretending(machine), name_calls(machine))
