"""Berths: a box's place in a network, and what is known of it while it runs there."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from warpforge.sandbox.network import Link, Network


class Resident:
    """A box that runs: what it can be told, and what gives company to it (``visit``)."""

    def __init__(self, pidfd: int, tell: Callable[[int], None], berth: Berth, about: About) -> None:
        self.pidfd = pidfd
        self.berth: Final = berth
        self.about: Final = about
        self._tell = tell
        self._lock = threading.Lock()

    def signal(self, number: int) -> None:
        """Give its command a signal; that it has just ended is fine."""
        self._tell(number)

    def copy(self) -> list[int]:
        """Its pidfd, and its user and network namespaces, for whoever closes them. Raises OSError (ESRCH): it ended."""
        with self._lock:  # a descriptor that was given back may be anything by now
            if self.pidfd < 0:
                raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
            return [os.dup(fd) for fd in (self.pidfd, self.berth.network.userns_fd, self.berth.link.netns_fd)]

    def close(self) -> None:
        """It has ended."""
        with self._lock:
            os.close(self.pidfd)
            self.pidfd = -1


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
