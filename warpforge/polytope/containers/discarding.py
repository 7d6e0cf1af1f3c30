"""Removing what boxes of many uids wrote: an ordinary user owns the directory, and cannot touch what is in it.

Then a box without a command does it, in a user namespace where these uids are ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from warpforge.errors import WarpforgeError
from warpforge.fsx.locks import locked_open
from warpforge.fsx.remove import remove_tree
from warpforge.sandbox.berth import Berth
from warpforge.sandbox.spec import BoxSpec

if TYPE_CHECKING:
    from warpforge.sandbox.backend import Backend
    from warpforge.sandbox.ids import Ids
    from warpforge.sandbox.network import Network


class Discarder:
    """``network``: one that is there anyway; else one is made when it is needed. ``scratch``: a directory of
    ours."""

    def __init__(self, backend: Backend, ids: Ids | None, scratch: Path, network: Network | None = None) -> None:
        self._backend = backend
        self._ids = ids
        self._scratch = scratch
        self._network = network

    def discard(self, path: Path) -> None:
        """Remove a directory with all that is in it; what cannot be removed stays for the next start."""
        with suppress(OSError):
            remove_tree(-100, os.fsencode(path))
        if not os.path.lexists(path) or self._ids is None or self._backend.owner is not None:
            return
        work = path.with_name(f".discard-{os.urandom(6).hex()}")  # on the same file system
        with suppress(OSError, WarpforgeError):
            work.mkdir(mode=0o700)
            path.rename(work / "u0")
            with self._berth() as berth:
                spec = BoxSpec(ids=self._ids, layers=os.fsencode(work), drop_layers=True)
                self._backend.run(spec, self._scratch, berth=berth)

    def sweep(self, tmp: str) -> None:
        """Remove what dead processes left and could not be removed otherwise."""
        if self._ids is None or self._backend.owner is not None:
            return
        with suppress(OSError):
            for name in os.listdir(tmp):
                path = os.path.join(tmp, name)
                with suppress(OSError), locked_open(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
                    if fd is not None:
                        self.discard(Path(path))

    @contextmanager
    def _berth(self) -> Iterator[Berth]:
        from warpforge.sandbox.network import Network

        network = self._network or Network(self._backend.owner, self._ids, stack="")
        try:
            link = network.link()
            try:
                yield Berth(network, link, lambda _: None)
            finally:
                network.unlink(link)
        finally:
            if network is not self._network:
                network.close()
