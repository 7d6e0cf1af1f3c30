"""The box made by bubblewrap."""

from __future__ import annotations

import os
from typing import Final

from warpforge.errors import store_error
from warpforge.sandbox.client import ZygoteClient
from warpforge.sandbox.failures import missing_bwrap
from warpforge.sandbox.owner import BUILD_UID, find_owner
from warpforge.sandbox.protocol import Cancel, OnGather, OnOutput, Probe, Seat
from warpforge.sandbox.seccomp import make_filter
from warpforge.sandbox.session import Session
from warpforge.sandbox.spec import BoxSpec, Mount, Outcome
from warpforge.sandbox.wire import NO_WORK, Order
from warpforge.sandbox.work import keep_work, make_work, remove_work

_USUAL: Final = "/usr/bin:/usr/local/bin:/bin:/run/current-system/sw/bin"
_RESOLV_CONF: Final = "/etc/resolv.conf"
# where distributions keep the bundle; in the box it lies at the first of them
_CERTIFICATES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)

_zygote = ZygoteClient()


class Bwrap:
    """The back-end ``bwrap``.

    ``search``: directories in which to look for the program, as PATH has them. ``build_uid``: under root, the uid and
    gid that boxes run under. ``overlay``: False copies trees instead, as on machines where overlays do not work.
    """

    name: Final = "bwrap"

    def __init__(self, *, search: str = _USUAL, build_uid: int = BUILD_UID, overlay: bool = True) -> None:
        self._search = search
        self._build_uid = build_uid
        self._overlay = overlay
        self._owner: tuple[tuple[int, int] | None] | None = None

    @property
    def owner(self) -> tuple[int, int] | None:
        """Who must own the shelf, as ``find_owner``."""
        if self._owner is None:
            self._owner = (find_owner(self._build_uid),)
        return self._owner[0]

    def warm(self) -> None:
        """Start the helper's zygote in the background; worth it as soon as it is known that something will run."""
        _zygote.warm()

    def probe(self) -> Probe:
        """Make a real trivial box, once for each process."""
        from warpforge.sandbox.probe import probe

        return probe(self)

    def find_program(self) -> str | None:
        """Where bwrap is."""
        for directory in self._search.split(":"):
            path = os.path.join(directory, "bwrap")
            if directory and os.access(path, os.X_OK):
                return path
        return None

    def run(
        self,
        spec: BoxSpec,
        tmp: str | os.PathLike[str],
        *,
        on_output: OnOutput | None = None,
        on_gather: OnGather | None = None,
        cancel: Cancel | None = None,
        seat: Seat | None = None,
    ) -> Outcome:
        """As ``Sandbox.run``."""
        program = self.find_program()
        if program is None:
            raise missing_bwrap()
        try:
            work = spec.layers or make_work(os.fsencode(os.path.abspath(tmp)), self.owner)
        except OSError as error:
            raise store_error(error, "the run's work directory cannot be made") from error
        stays = spec.keep or bool(spec.layers)
        session = Session(spec, on_output, on_gather, seat)
        try:
            terminal = seat is not None and seat.is_terminal
            order = make_order(spec, work, self.owner, program, overlay=self._overlay, terminal=terminal)
            _zygote.ask(NO_WORK if stays else work, session.helper_descriptors)
            session.give(order)
            outcome = session.wait(cancel)
        finally:
            session.close()
            if session.kept:
                stays = keep_work(work, spec.keep_failed) or stays
            if not stays:
                remove_work(work)
        self._overlay = self._overlay and outcome.facts.overlay
        return outcome


def make_order(
    spec: BoxSpec,
    work: bytes,
    owner: tuple[int, int] | None,
    program: str,
    *,
    overlay: bool = True,
    terminal: bool = False,
) -> Order:
    """The spec as the helper gets it; reads the host's resolver and certificates when it has the network."""
    mounts = [*spec.mounts, *(_network_mounts() if spec.network else ())]
    mounts.sort(key=lambda m: m.at.split(b"/") if m.at != b"/" else [])
    return Order(
        work=work,
        owner=owner,
        mounts=tuple((m.at, m.kind, m.source, m.mode) for m in mounts),
        argv=spec.argv,
        env=spec.env,
        cwd=spec.cwd,
        hostname=spec.hostname,
        network=spec.network,
        gathers=spec.gathers,
        gather_failed=spec.gather_failed,
        gather_limit=spec.gather_limit,
        deadline=float(spec.deadline),
        keep=spec.keep,
        keep_failed=bool(spec.keep_failed),
        layers=bool(spec.layers),
        terminal=terminal,
        umask=spec.umask,
        cpus=spec.cpus,
        aslr=spec.aslr,
        overlay=overlay,
        rlimits=spec.rlimits,
        bwrap=os.fsencode(program),
        seccomp=make_filter(os.uname().machine),
    )


def _network_mounts() -> list[Mount]:
    """Private copies of what a program needs to find and trust hosts."""
    mounts = []
    for at, candidates in ((_RESOLV_CONF, (_RESOLV_CONF,)), (_CERTIFICATES[0], _CERTIFICATES)):
        for candidate in candidates:
            try:
                with open(candidate, "rb") as file:
                    mounts.append(Mount(at.encode(), "bytes", file.read()))
                break
            except OSError:
                continue
    return mounts
