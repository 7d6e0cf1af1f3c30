"""Services of a job: names and ports under which boxes and the host reach containers.

A container that can have but one box is reached directly: the service's name is its address. Where there may be more
of them the name is an address of its own, from which connections are carried to one box after the other. To the host
every port is carried from a socket on its loopback interface.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.errors import Failed, Invalid, Missing, Unable
from warpforge.polytope.containers.ports import listen
from warpforge.polytope.events import Exposed, Hear, ServiceChanged
from warpforge.polytope.spec import Ports, Service

if TYPE_CHECKING:
    from warpforge.sandbox.network import Network

_GLANCE: Final = 0.02  # seconds between two tries, at first
_LONGEST_GLANCE: Final = 0.5
_LONGEST_ANSWER: Final = 1 << 20  # bytes
_ONE_PAUSE: Final = 0.2  # seconds within an answer
_ONE_TRY: Final = 2.0


class Open(NamedTuple):
    """A service that is open. ``address``: its own, or its only box's; ``carried``: by number, the container's port
    and where to the host."""

    service: Service
    container: str
    address: str
    carried: dict[int, int]
    exposed: tuple[Exposed, ...]


class Services:
    """All services of a job. May be used from many threads; what becomes of one is told in order."""

    def __init__(self, network: Network, hear: Hear) -> None:
        self._network = network
        self._hear = hear
        self._lock = threading.RLock()
        self._open: dict[str, Open] = {}
        self._names: dict[str, str] = {}

    def name(self, name: str, address: str) -> None:
        """Boxes reach this address by this name."""
        with self._lock:
            self._names[name.lower()] = address
            self._network.name(self._names)

    def open(
        self, container: str, service: Service, find_boxes: Callable[[], Sequence[str]], *, is_scaled: bool
    ) -> Open | None:
        """Have others reach the boxes at these addresses; None: there are none any more.

        Errors: ``invalid`` (clash), ``connection`` (port-in-use).
        """
        with self._lock:
            boxes = find_boxes()
            if not boxes:
                return None
            self._check(container, service)
            address = self._network.add_address() if is_scaled else boxes[0]
            carried: dict[int, int] = {}
            exposed = []
            opened = Open(service, container, address, carried, ())
            try:
                for ports in service.ports:
                    if is_scaled:
                        carried[self._carry(ports, (address, ports.port), boxes)] = ports.port
                    exposed.append(self._expose(service, ports, boxes, carried))
            except BaseException:
                for number in carried:
                    self._network.drop(number)
                raise
            opened = opened._replace(exposed=tuple(exposed))
            self._open[service.id] = opened
            self.name(service.id, address)
            self._hear(ServiceChanged(service.id, container, "pending", opened.exposed))
        return opened

    def _carry(self, ports: Ports, source: socket.socket | tuple[str, int], boxes: Sequence[str]) -> int:
        protocol = "udp" if ports.protocol == "udp" else "tcp"
        return self._network.carry(protocol, source, [(address, ports.port) for address in boxes])

    def _expose(self, service: Service, ports: Ports, boxes: Sequence[str], carried: dict[int, int]) -> Exposed:
        what = f"service {service.id}"
        try:
            sources = listen(ports.expose_as or ports.port, ports.protocol, what)
        except Unable as error:
            if error.reason != "port-denied" or ports.expose_as:
                raise
            sources = listen(0, ports.protocol, what)  # nobody asked for that one: any other will do
        host_port = sources[0].getsockname()[1]
        for source in sources:
            carried[self._carry(ports, source, boxes)] = ports.port
        return Exposed(ports.port, ports.protocol, host_port, ports.label, ports.is_internal)

    def _check(self, container: str, service: Service) -> None:
        """Two of one name, or at one port of the host."""
        if (other := self._open.get(service.id)) is not None:
            raise Invalid(
                "invalid",
                f"service {service.id} of container {container} has the name of one of container {other.container}: "
                "give it another id",
                reason="service-clash",
                service=service.id,
                container=container,
                other=other.container,
            )
        for ports in service.ports:
            for other in self._open.values():
                for theirs in other.exposed:
                    same = (theirs.protocol == "udp") == (ports.protocol == "udp")
                    if same and theirs.host_port == (ports.expose_as or ports.port):
                        raise Invalid(
                            "invalid",
                            f"services {other.service.id} and {service.id} are both to be reached at port "
                            f"{theirs.host_port} of this machine: give one of them another expose-as",
                            reason="port-clash",
                            port=theirs.host_port,
                            service=service.id,
                            other=other.service.id,
                        )

    def retarget(self, container: str, find_boxes: Callable[[], Sequence[str]]) -> None:
        """A container has other boxes now."""
        with self._lock:
            boxes = find_boxes()  # in here: what was found before another did would be older
            for opened in self._open.values():
                if opened.container == container:
                    for number, port in opened.carried.items():
                        self._network.retarget(number, [(address, port) for address in boxes])

    def ready(self, name: str) -> None:
        """It answers."""
        with self._lock:
            opened = self.find(name)
            if opened is not None:  # else its container has just ended
                self._hear(ServiceChanged(name, opened.container, "running", opened.exposed))

    def close(self, name: str) -> None:
        """Nobody reaches it any more."""
        with self._lock:
            opened = self._open.pop(name, None)
            if opened is None:
                return
            for number in opened.carried:
                self._network.drop(number)
            self._names.pop(name.lower(), None)
            self._network.name(self._names)
            self._hear(ServiceChanged(name, opened.container, "stopped", opened.exposed))

    def close_all(self, container: str) -> None:
        """The container has ended."""
        with self._lock:
            for name in [name for name, opened in self._open.items() if opened.container == container]:
                self.close(name)

    def find(self, name: str) -> Open | None:
        """An open service."""
        return self._open.get(name)

    def get(self, name: str) -> Open:
        """An open service. Errors: ``missing``."""
        opened = self._open.get(name)
        if opened is None:
            there = ", ".join(self._open)
            raise Missing("missing", f"there is no service {name}: there is {there or 'none'}", service=name)
        return opened

    def await_ready(self, opened: Open, go_on: Callable[[], bool], seconds: float, port: int = 0) -> str:
        """Until its ports answer: "" then; "ended" when ``go_on`` says no; else which port did not in that time."""
        until = time.monotonic() + seconds
        for ports in opened.service.ports:
            if ports.protocol == "udp" or port not in (0, ports.port):
                continue
            glance = _GLANCE
            while not self._answers(opened.address, ports):
                if not go_on():
                    return "ended"
                if time.monotonic() >= until:
                    return f"port {ports.port} ({ports.protocol})"
                time.sleep(glance)
                glance = min(glance * 2, _LONGEST_GLANCE)
        return ""

    def _answers(self, address: str, ports: Ports) -> bool:
        with self._network.open_socket() as connection, suppress(OSError):
            connection.settimeout(_ONE_TRY)
            connection.connect((address, ports.port))
            if ports.protocol == "tcp":
                return True
            if ports.protocol == "https":
                context = ssl.create_default_context()
                context.check_hostname = False  # whether it answers, not who
                context.verify_mode = ssl.CERT_NONE
                connection = context.wrap_socket(connection)
            connection.sendall(f"GET / HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
            speaks = connection.recv(5).startswith(b"HTTP/")
            if speaks:
                _hear_out(connection)
            return speaks
        return False


def _hear_out(connection: socket.socket) -> None:
    """Take the rest of an answer, within reason: a server that is cut off in it complains in its log."""
    left = _LONGEST_ANSWER
    connection.settimeout(_ONE_PAUSE)
    with suppress(OSError):
        while left > 0 and (data := connection.recv(left)):
            left -= len(data)


def not_ready(container: str, opened: Open, what: str, seconds: float) -> Failed:
    """A service that never answered."""
    return Failed(
        "action-limit",
        f"service {opened.service.id} of container {container} did not answer at {what} in {seconds:g} s: "
        "see what the container says",
        reason="not-ready",
        service=opened.service.id,
        container=container,
    )
