"""Berths: a box's place in a network, and what is known of it while it runs there."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from warpforge.sandbox.network import Link, Network


class Resident:
    """A box that runs: what it can be told, and what gives company to it (``visit``)."""

    def __init__(self, pidfd: int, tell: Callable[[int], None], berth: Berth, about: About) -> None:
        self.pidfd: Final = pidfd
        self.berth: Final = berth
        self.about: Final = about
        self._tell = tell

    def signal(self, number: int) -> None:
        """Give its command a signal; that it has just ended is fine."""
        self._tell(number)

    def close(self) -> None:
        """It has ended."""
        os.close(self.pidfd)


class About(NamedTuple):
    """What a visitor needs to know of a box. ``owner``: the build uid and gid under root; ``person``: uid, gid and
    further gids of its command, in the box; ``home``: what the box's files say of theirs, if ``env`` does not."""

    owner: tuple[int, int] | None
    has_many: bool
    person: tuple[int, int, tuple[int, ...]]
    home: bytes
    env: tuple[tuple[bytes, bytes], ...]
    cwd: bytes
    capabilities: tuple[str, ...]
    unfiltered: frozenset[str]


class Berth(NamedTuple):
    """A place in a network; ``on_started`` hears of the box as soon as its command runs."""

    network: Network
    link: Link
    on_started: Callable[[Resident], None]
