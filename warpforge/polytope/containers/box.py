"""One box of a container, over all its starts: a place in the network, a layer that stays, a loop.

start -> runs -> ended -> (policy) -> after a pause: start ...
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from warpforge.errors import Internal, Invalid, WarpforgeError
from warpforge.polytope.containers.seats import Sitter, taken_seat
from warpforge.polytope.spec import ContainerSpec, Restart
from warpforge.sandbox.addresses import RESOLVER
from warpforge.sandbox.berth import Berth, Resident
from warpforge.sandbox.protocol import Cancel
from warpforge.sandbox.spec import BoxSpec, Mount, make_mount

if TYPE_CHECKING:
    from warpforge.polytope.containers.lines import Lines
    from warpforge.sandbox.backend import Backend
    from warpforge.sandbox.network import Network
    from warpforge.sandbox.protocol import OnGather
    from warpforge.sandbox.spec import Outcome

FIRST_PAUSE: Final = 0.1  # seconds before the first start again; each is twice the one before
LONGEST_PAUSE: Final = 30.0
LONG: Final = 10.0  # seconds after which a start counts as good: the next pause is the first again
GRACE: Final = 10.0  # seconds between SIGTERM and SIGKILL
_SIGTERM: Final = 15
_LONGEST_HOSTNAME: Final = 63


class Ground(NamedTuple):
    """What the boxes of a job stand on. ``work``: where layers lie; ``discard`` removes such; ``grace``: seconds
    between SIGTERM and SIGKILL."""

    backend: Backend
    network: Network
    work: Path
    discard: Callable[[Path], None]
    grace: float = GRACE


class Told(NamedTuple):
    """Whom a box tells: that its command runs; that it starts again; that it has ended for good, with its status."""

    started: Callable[[], None]
    restarting: Callable[[int, int, float], None]
    ended: Callable[[int, WarpforgeError | None], None]


class Box:
    """Begins when it is made. ``sitter``: who sits at it, if anybody does."""

    def __init__(
        self,
        ground: Ground,
        spec: ContainerSpec,
        made: BoxSpec,
        lines: Lines,
        told: Told,
        on_gather: OnGather,
        sitter: Sitter | None = None,
    ) -> None:
        self._ground = ground
        self._spec = spec
        self._lines = lines
        self._told = told
        self._on_gather = on_gather
        self._sitter = sitter
        self._cancel = Cancel()
        self._stopping = threading.Event()
        self._resident: Resident | None = None
        self._lock = threading.Lock()
        self.signal = _SIGTERM
        self.link = ground.network.link()
        self._layers = ground.work / f"box-{self.link.address}"
        hostname = made.hostname.decode()[:_LONGEST_HOSTNAME]
        own = make_own_files(self.address, RESOLVER, hostname, {mount.at for mount in made.mounts})
        mounts = sorted((*made.mounts, *own), key=lambda mount: mount.at.split(b"/") if mount.at != b"/" else [])
        self._made = replace(made, mounts=tuple(mounts), layers=os.fsencode(self._layers), hostname=hostname.encode())
        self._thread = threading.Thread(target=self._live, name=f"box {spec.id}", daemon=True)

    def begin(self) -> None:
        """Start it, in a thread of its own."""
        self._layers.mkdir(mode=0o700)
        if self._ground.backend.owner is not None:
            os.chown(self._layers, *self._ground.backend.owner)
        self._thread.start()

    @property
    def address(self) -> str:
        """Its own in the network."""
        return self.link.address

    @property
    def resident(self) -> Resident | None:
        """While its command runs."""
        return self._resident

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good, or never began."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """SIGTERM, after a while SIGKILL; returns when it has ended, and never starts again.

        A command that we have not heard of yet may run all the same: it gets the signal as soon as we do.
        """
        with self._lock:
            self._stopping.set()
            if self._resident is not None:
                self._resident.signal(self.signal)
        if self._thread.ident is None:
            return  # it could not begin
        self._thread.join(self._ground.grace)
        with self._lock:
            self._cancel.cancel()
        self._thread.join()

    def join(self) -> None:
        """Until it has ended for good, and whoever is told of that has been; at once when it never began."""
        if self._thread.ident is not None:
            self._thread.join()

    def _live(self) -> None:
        status = 0
        trouble: WarpforgeError | None = None
        try:
            status = self._run_again_and_again()
        except WarpforgeError as error:
            trouble = _of(self._spec.id, error)
        except Exception as error:
            trouble = Internal("internal", f"container {self._spec.id}: {error!r}", cause=error)
        finally:
            self._lines.end()
            with self._lock:
                self._cancel.close()  # a job may have had thousands of boxes
            with suppress(WarpforgeError, OSError):  # without its network: somebody killed the keeper
                self._ground.discard(self._layers)
                self._ground.network.unlink(self.link)
        self._told.ended(status, trouble)

    def _run_again_and_again(self) -> int:
        restarts, pause = 0, FIRST_PAUSE
        while True:
            outcome = self._run()
            if self._stopping.is_set() or not wants_restart(self._spec.restart, outcome.exit_code, restarts):
                if outcome.exec_error:
                    self._lines.feed("err", f"{outcome.text}\n".encode())
                return outcome.exit_code
            restarts += 1
            pause = FIRST_PAUSE if outcome.seconds > LONG else pause
            self._told.restarting(outcome.exit_code, restarts, pause)
            if self._stopping.wait(pause):
                return outcome.exit_code
            pause = min(2 * pause, LONGEST_PAUSE)

    def _run(self) -> Outcome:
        spec = self._spec
        berth = Berth(self._ground.network, self.link, self._begin_residence)
        with self._lock:
            if self._stopping.is_set():
                self._cancel.cancel()  # it need not begin
        try:
            with taken_seat(tty=spec.tty, has_stdin=spec.has_stdin, sitter=self._sitter) as seat:
                try:
                    return self._ground.backend.run(
                        self._made,
                        self._ground.work,
                        on_output=self._hear,
                        on_gather=self._on_gather,
                        cancel=self._cancel,
                        seat=seat,
                        berth=berth,
                    )
                finally:
                    self._lines.end()
        finally:
            with self._lock:
                self._resident = None

    def _hear(self, stream: str, data: bytes) -> None:
        if self._sitter is not None:
            self._sitter.see(data)
        self._lines.feed(stream, data)

    def _begin_residence(self, resident: Resident) -> None:
        with self._lock:
            self._resident = resident
            if self._stopping.is_set():
                resident.signal(self.signal)
        self._told.started()


def _of(container: str, error: WarpforgeError) -> WarpforgeError:
    """What a box says of an action, said of a container."""
    if not error.code.endswith("-formula-invalid"):
        return error
    said = error.message.removeprefix("the action's ")
    return Invalid("invalid", f"container {container}: {said}", cause=error, reason=error.reason, container=container)


def make_own_files(address: str, resolver: str, hostname: str, taken: set[bytes]) -> list[Mount]:
    """What every box is told of its network, unless it is told otherwise."""
    hosts = f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n{address}\t{hostname}\n"
    files = {"/etc/hosts": hosts, "/etc/resolv.conf": f"nameserver {resolver}\n", "/etc/hostname": f"{hostname}\n"}
    found = [make_mount(at, "bytes", text.encode()) for at, text in files.items()]
    return [mount for mount in found if mount.at not in taken]


def wants_restart(restart: Restart, status: int, restarts: int) -> bool:
    """Whether a box that ended so starts again."""
    if restart.policy == "never" or (restart.policy == "on-failure" and status == 0):
        return False
    return restart.max_restarts < 0 or restarts < restart.max_restarts
