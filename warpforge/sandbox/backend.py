"""What all back-ends are alike in: finding the program, making the order, running one box."""

from __future__ import annotations

import os
from functools import cache
from typing import Final, NamedTuple

from warpforge.errors import store_error
from warpforge.sandbox.berth import Berth
from warpforge.sandbox.cgroup import Group, Place, find_places, make_group, sweep
from warpforge.sandbox.client import zygote
from warpforge.sandbox.failures import missing_program
from warpforge.sandbox.limits import make_rlimits, name_limits
from warpforge.sandbox.owner import BUILD_UID, find_owner
from warpforge.sandbox.protocol import Cancel, OnGather, OnOutput, Probe, Seat, Turn
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


class Programs(NamedTuple):
    """``seccomp``: the rules, in the back-end's form; ``early``: a program for itself. ``noticing``: what tells a
    registrar of owners and users, of ``calls`` by their numbers; ``pretended``: in its place, where nobody listens."""

    seccomp: bytes
    early: bytes = b""
    noticing: bytes = b""
    pretended: bytes = b""
    calls: tuple[tuple[int, str], ...] = ()


class Backend:
    """One way to make boxes.

    ``search``: directories in which to look for the program, as PATH has them. ``build_uid``: under root, the uid and
    gid that boxes run under. ``overlay``: False copies trees instead, as on machines where overlays do not work.
    ``cgroups``: False counts memory and processes without them, as on machines where none can be made.
    """

    name: str
    package: str  # of Debian, that brings the program
    overhead = 0  # processes and threads beside the action's that its group has at most

    def __init__(
        self,
        *,
        search: str = _USUAL,
        build_uid: int = BUILD_UID,
        overlay: bool = True,
        cgroups: bool = True,
    ) -> None:
        self._search = search
        self._build_uid = build_uid
        self._overlay = overlay
        self._cgroups = cgroups
        self._owner: tuple[tuple[int, int] | None] | None = None

    @property
    def owner(self) -> tuple[int, int] | None:
        """Who must own the shelf, as ``find_owner``."""
        if self._owner is None:
            self._owner = (find_owner(self._build_uid),)
        return self._owner[0]

    def warm(self) -> None:
        """Start the helper's zygote in the background; worth it as soon as it is known that something will run."""
        zygote.warm()

    def probe(self) -> Probe:
        """Make a real trivial box, once for each process."""
        from warpforge.sandbox.probe import probe

        return probe(self)

    def find_program(self) -> str | None:
        """Where it is."""
        for directory in self._search.split(":"):
            path = os.path.join(directory, self.name)
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
        turn: Turn | None = None,
        berth: Berth | None = None,
    ) -> Outcome:
        """As ``Sandbox.run``."""
        program = self.find_program()
        if program is None:
            raise missing_program(self.name, self.package)
        self.check(spec)
        try:
            work = spec.layers or make_work(os.fsencode(os.path.abspath(tmp)), self.owner)
        except OSError as error:
            raise store_error(error, "the run's work directory cannot be made") from error
        stays = spec.keep or (bool(spec.layers) and not spec.drop_layers)
        group = self._make_group(spec)
        limits = name_limits(spec, group)
        session = Session(
            spec, self.name, on_output, on_gather, limits=limits, owner=self.owner, seat=seat, turn=turn, berth=berth
        )
        try:
            order = make_order(spec, work, self.owner, program, self.name, group, overlay=self._overlay)
            order.berth = berth is not None
            order.waits = turn is not None and bool(spec.argv)
            order.terminal = seat is not None and seat.is_terminal
            programs = self.make_filters(spec.unfiltered, pretending=spec.pretending)
            order.seccomp, order.early_filter, order.noticing, order.pretended, order.calls = programs
            zygote.ask(NO_WORK if stays else work, group.directories, session.helper_descriptors)
            session.give(order)
            if turn is not None:
                turn.wait()
            if order.waits and not (cancel and cancel.is_cancelled):
                session.begin()
            outcome = session.wait(cancel)
        finally:
            session.close()
            if session.kept:
                stays = keep_work(work, spec.keep_failed) or stays
            if not stays:
                remove_work(work)
            group.remove()
        self._overlay = self._overlay and outcome.facts.overlay
        return outcome

    def check(self, spec: BoxSpec) -> None:
        """Raise Unable sandbox-unavailable for what this back-end cannot do."""

    def make_filters(self, without: frozenset[str], *, pretending: bool) -> Programs:
        """The rules of ``seccomp``, without those for some calls."""
        raise NotImplementedError

    def _make_group(self, spec: BoxSpec) -> Group:
        asked = {"memory": spec.memory_limit, "pids": spec.pids_limit and spec.pids_limit + self.overhead}
        limits = {name: limit for name, limit in asked.items() if limit}
        return make_group(_find_places(), limits) if limits and self._cgroups else Group()


@cache
def _find_places() -> dict[str, Place]:
    """Looked for once, and what engines before us left behind is removed then."""
    places = find_places()
    sweep(places)
    return places


def make_order(
    spec: BoxSpec,
    work: bytes,
    owner: tuple[int, int] | None,
    program: str,
    backend: str,
    group: Group,
    *,
    overlay: bool = True,
) -> Order:
    """The spec as the helper gets it; reads the host's resolver and certificates when it has the network."""
    mounts = [*spec.mounts, *(_network_mounts() if spec.network else ())]
    mounts.sort(key=lambda m: m.at.split(b"/") if m.at != b"/" else [])
    memory = 0 if "memory" in group.kept else spec.memory_limit
    pids = 0 if "pids" in group.kept else spec.pids_limit
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
        layers=bool(spec.layers) and not spec.drop_layers,
        terminal=False,
        berth=False,
        waits=False,
        user=spec.user,
        groups=(),
        uids=spec.ids.uids if spec.ids else (),
        gids=spec.ids.gids if spec.ids else (),
        id_tools=spec.ids.tools if spec.ids else (),
        capabilities=tuple(name.encode() for name in spec.capabilities),
        program_path=b"",
        owned=spec.owned,
        owned_mounts=spec.owned_mounts,
        umask=spec.umask,
        cpus=spec.cpus,
        aslr=spec.aslr,
        overlay=overlay,
        rlimits=(*spec.rlimits, *make_rlimits(pids)),
        uid=spec.uid,
        gid=spec.gid,
        username=spec.username,
        home=spec.home,
        disk=spec.disk_limit,
        metered_memory=memory,
        metered_pids=pids,
        cgroups=tuple(os.fsencode(directory) for directory in group.directories),
        backend=backend,
        program=os.fsencode(program),
        seccomp=b"",
        early_filter=b"",
        calls=(),
        noticing=b"",
        pretended=b"",
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
