"""The containers of one job: ``Containers``, in boxes of this machine.

spawn: the image is brought here -> mounts are made -> boxes begin, in a thread of its own
"""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warpforge.errors import Internal, Missing, Unable, WarpforgeError
from warpforge.polytope.containers.box import GRACE, Box, Ground, Told
from warpforge.polytope.containers.checkouts import Checkouts
from warpforge.polytope.containers.datasets import Datasets
from warpforge.polytope.containers.discarding import Discarder
from warpforge.polytope.containers.furnish import furnish
from warpforge.polytope.containers.image import open_image
from warpforge.polytope.containers.image_names import ImageNames
from warpforge.polytope.containers.lines import Lines
from warpforge.polytope.containers.lockfile import NAME, LockFile
from warpforge.polytope.containers.mounting import Mounting
from warpforge.polytope.containers.pulls import Pulls
from warpforge.polytope.containers.running import Running
from warpforge.polytope.containers.scaling import Scaler
from warpforge.polytope.containers.seats import Sitter
from warpforge.polytope.containers.services import Services, not_ready
from warpforge.polytope.containers.volumes import Volumes, volumes_of
from warpforge.polytope.events import ContainerSaid, Hear
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Interrupted
from warpforge.polytope.spec import ContainerSpec, Service
from warpforge.sandbox import visit as visits
from warpforge.sandbox.berth import Resident
from warpforge.sandbox.ids import explain_one, find_ids
from warpforge.sandbox.network import Network

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.sandbox.protocol import Entries

READY: Final = 300.0  # seconds that a service may take until it answers
_PATIENCE: Final = 60.0  # seconds for a garbage collection to end
_GLANCE: Final = 0.05
_LITTLE: Final = 1.0


class JobBoxes:
    """``directory``: of the project, where its lock file lies. ``checkout``: of a repository by its name. ``ready``,
    ``grace``: seconds.

    Close it: everything that still runs is stopped then, and what is the job's alone is removed. Should this process
    be killed instead, the kernel ends the boxes and their network, and the next start removes the rest.
    Errors of making it: ``sandbox-unavailable``, ``store``, ``invalid`` (lock).
    """

    def __init__(
        self,
        engine: Engine,
        directory: Path,
        hear: Hear,
        checkout: Callable[[str], str | None] = lambda repo: None,
        *,
        ready: float = READY,
        grace: float = GRACE,
    ) -> None:
        self._engine = engine
        self._hear = hear
        self._ready = ready
        self._ids = find_ids(engine.box.owner)
        self._containers: dict[str, Running] = {}
        self._boxes: list[Box] = []  # all there ever were
        self._lock = threading.RLock()
        self._in_store = threading.Lock()
        self._pulls = Pulls()
        self._starting: list[threading.Thread] = []
        self._is_closed = False
        lock = LockFile(directory / NAME)  # first: when it makes no sense there is nothing to close yet
        engine.store.sweep()
        self._stay = engine.store.use()
        self._work = Path(engine.store.staging.directory()) / f"job-{os.urandom(6).hex()}"
        self._work.mkdir(mode=0o700)
        engine.box.warm()
        self._network = Network(engine.box.owner, self._ids)
        self._discarder = Discarder(engine.box, self._ids, self._work, self._network)
        self._discarder.sweep(engine.store.layout.tmp)
        self._ground = Ground(engine.box, self._network, self._work, self._discarder.discard, grace)
        self._services = Services(self._network, hear)
        self._references = ImageNames(engine, lock, directory, self._stay.need)
        self._datasets = Datasets(directory, engine.store)
        self._volumes = Volumes(volumes_of(directory), self._work / "volumes", self._discarder.discard)
        checkouts = Checkouts(checkout, lambda: engine)
        self._mounting = Mounting(engine, self._volumes, self._datasets, checkouts, self._stay.need)
        self._scaler = Scaler(self._services.retarget)

    @property
    def trouble(self) -> str:
        """What boxes cannot have here, and what to do about it: a way out of this machine, many uids."""
        found = [self._network.trouble]
        if self._ids is None:
            how = "remembered" if self._engine.box.name == "bwrap" else "said to have been done"
            why = explain_one(self._engine.box.owner)
            found.append(f"changes of owner and user are {how} in containers, and not done: {why}")
        return ". ".join(filter(None, found))

    # as Containers has them

    def spawn(self, spec: ContainerSpec, sitter: Sitter | None = None) -> str:
        with self._lock:
            there = self._containers.get(spec.id)
            if there is not None and not there.is_over and spec.create != "always":
                return spec.id
            if spec.create == "never":
                raise Missing(
                    "missing", f"there is no container {spec.id}, and it is not to be made", container=spec.id
                )
            running = Running(_renamed(spec, self._containers), self._hear, sitter)
            self._containers[running.id] = running
            thread = threading.Thread(target=self._start, args=(running,), name=f"spawn {running.id}", daemon=True)
            self._starting.append(thread)
            thread.start()
        return running.id

    def await_started(self, container: str) -> None:
        self._get(container).await_started()

    def open_service(self, container: str, service: Service) -> None:
        running = self._get(container)
        running.await_started()
        scaling = running.spec.scaling
        is_scaled = scaling.max > 1 or scaling.min > 1
        opened = self._services.open(container, service, lambda: running.addresses, is_scaled=is_scaled)
        if opened is None:
            return  # it has ended already
        what = self._services.await_ready(opened, lambda: not running.is_over, self._ready)
        if what and what != "ended":
            self._services.close(service.id)
            raise not_ready(container, opened, what, self._ready)
        if not what:
            self._services.ready(service.id)

    def close_service(self, service: str) -> None:
        self._services.close(service)

    def await_service(self, service: str, port: int, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while (opened := self._services.find(service)) is None:
            if time.monotonic() >= until:
                return False
            time.sleep(_GLANCE)
        left = max(0.0, until - time.monotonic())
        return not self._services.await_ready(opened, lambda: True, left, port)

    def service_address(self, service: str, port: int) -> tuple[str, int]:
        for exposed in self._services.get(service).exposed:
            if port in (0, exposed.port):
                return "127.0.0.1", exposed.host_port
        raise Missing("missing", f"service {service} has no port {port}", service=service)

    def await_exited(self, container: str) -> int:
        return self._get(container).await_exited()

    def exec(self, container: str, argv: Sequence[str], env: Mapping[str, str]) -> int:
        running = self._get(container)
        lines = self._make_lines(running.spec)
        try:
            return visits.execute(_resident(running), visits.Visit(argv, env), lines.feed)
        finally:
            lines.end()

    def enter(self, container: str, visit: visits.Visit) -> visits.Company:
        """A person's command in a running container. Errors: ``missing``, as ``Company``."""
        return visits.Company(_resident(self._get(container)), visit)

    def stop(self, container: str) -> None:
        self._get(container).stop()

    def list_files(self, container: str, path: str) -> list[dict[str, Value]]:
        return visits.list_files(_resident(self._get(container)), path)

    def read_file(self, container: str, path: str) -> bytes:
        return visits.read_file(_resident(self._get(container)), path)

    def write_file(self, container: str, path: str, data: bytes) -> None:
        visits.write_file(_resident(self._get(container)), path, data)

    def store_dataset(self, container: str, path: str, dataset: str) -> int:
        ware = self._get(container).kept.get(path.rstrip("/") or "/")
        if ware is None:
            raise Missing(
                "missing",
                f"container {container} left nothing at {path}: only what its datasets name is kept, after status 0",
                container=container,
                path=path,
            )
        return self._datasets.add(dataset, ware)

    # what the job itself asks for

    def connect(self, name: str, port: int, seconds: float) -> socket.socket | None:
        """A connection, from within the network, to a service or container; None for any other name. Raises OSError."""
        opened = self._services.find(name)
        running = self._containers.get(name)
        addresses = [opened.address] if opened else running.addresses if running else []
        if not addresses:
            return None
        made = self._network.open_socket()
        made.settimeout(seconds)
        try:
            made.connect((addresses[0], port))
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        """Stop what runs, the youngest first; then the network and the job's directory go. May be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        self._scaler.close()
        for running in reversed([*self._containers.values()]):
            running.stop()
        until = time.monotonic() + _LITTLE  # one that fetches an image is not waited for to its end
        for thread in self._starting:
            thread.join(max(0.0, until - time.monotonic()))
        for box in self._boxes:
            box.join()
        self._volumes.close()
        self._discarder.discard(self._work)
        self._network.close()
        self._stay.end()

    def __enter__(self) -> JobBoxes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _get(self, container: str) -> Running:
        running = self._containers.get(container)
        if running is None:
            there = ", ".join(self._containers)
            raise Missing(
                "missing", f"there is no container {container}: there is {there or 'none'}", container=container
            )
        return running

    def _start(self, running: Running) -> None:
        try:
            running.pulling(self.trouble if len(self._containers) == 1 else "")
            make_box = self._prepare(running)
            running.begin(make_box)
        except WarpforgeError as error:
            running.fail(error)
        except Exception as error:
            running.fail(Internal("internal", f"container {running.id}: {error!r}", cause=error))
        else:
            if addresses := running.addresses:
                self._services.name(running.id, addresses[0])
                self._services.retarget(running.id, lambda: running.addresses)
            if running.spec.scaling.max > running.spec.scaling.min:
                self._scaler.watch(running)

    def _prepare(self, running: Running) -> Callable[[Running, int], Box]:
        spec = running.spec
        with self._touching(self._pulls.turn(spec.image)):
            running.ware = self._references.find(spec.image, update=spec.update_image)
            self._stay.need((running.ware,))
            image = open_image(self._engine, running.ware)
        with self._touching(self._in_store):
            mounts, fresh = self._mounting.mounts(spec, image)

        def make(running: Running, number: int) -> Box:
            hostname = running.id if not number else f"{running.id}-{number}"
            made = furnish(spec, image, mounts, fresh if not number else (), ids=self._ids, hostname=hostname)
            told = Told(running.started, running.restarting, lambda *end: self._ended(running, box, *end))
            sitter = running.sitter if not number else None
            box = Box(self._ground, spec, made, self._make_lines(spec), told, self._gather(running), sitter)
            box.signal = image.config.signal
            self._boxes.append(box)
            return box

        return make

    def _ended(self, running: Running, box: Box, status: int, trouble: WarpforgeError | None) -> None:
        is_last = running.lost(box, status, trouble)
        try:
            with suppress(Unable):  # without its network: somebody killed the keeper
                if is_last:
                    self._services.close_all(running.id)
                else:
                    self._services.retarget(running.id, lambda: running.addresses)
        finally:
            if is_last:
                running.end()

    def _gather(self, running: Running) -> Callable[[int, Entries], None]:
        def gather(index: int, entries: Entries) -> None:
            from warpforge.engine.keep import keep_tree
            from warpforge.pack.filters import OUTPUT

            with self._touching(self._in_store):
                filters = OUTPUT.replace({"mtime": "keep", "setid": "ignore"})
                ware = keep_tree(self._engine.store, entries, "ztar", filters)
                self._stay.need((ware,))
            running.kept[running.spec.datasets[index].path.rstrip("/") or "/"] = ware

        return gather

    @contextmanager
    def _touching(self, turn: AbstractContextManager[object]) -> Iterator[None]:
        """Wares are looked for and used, once it is our turn; nobody collects garbage meanwhile."""
        with turn:
            if self._is_closed:
                raise Interrupted  # it waited until the job was over
            self._stay.come(_PATIENCE)
            try:
                yield
            finally:
                self._stay.go()

    def _make_lines(self, spec: ContainerSpec) -> Lines:
        def tell(line: str) -> None:
            with suppress(Exception):
                self._hear(ContainerSaid(spec.id, line))

        return Lines(tell, [variable.value for variable in spec.env if variable.is_secret])


def _resident(running: Running) -> Resident:
    resident = running.resident_box().resident
    if resident is None:
        raise Missing("missing", f"container {running.id} does not run", container=running.id)
    return resident


def _renamed(spec: ContainerSpec, taken: Mapping[str, Running]) -> ContainerSpec:
    """With a number appended to an id that is taken."""
    from msgspec.structs import replace

    if spec.id not in taken:
        return spec
    return next(replace(spec, id=name) for number in itertools.count(2) if (name := f"{spec.id}-{number}") not in taken)
