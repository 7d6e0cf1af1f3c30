"""Jobs of real containers for tests: an image made of this machine's busybox, and a workspace to run it in."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import forge, images
from warpforge.engine.engine import Engine
from warpforge.engine.events import Reporter
from warpforge.engine.options import Acting, Options
from warpforge.polytope.containers.boxes import JobBoxes
from warpforge.polytope.events import ContainerChanged, ContainerSaid, Event
from warpforge.polytope.spec import ContainerSpec, Ports, Service
from warpforge.workspace.find import find_stack

PASSWD = b"root:x:0:0::/root:/bin/sh\nweb:x:101:102::/srv:/bin/sh\n"


def make_image(**config: Any) -> images.Image:
    """busybox with its applets, a user ``web``, and a page of hers below /srv."""
    busybox = shutil.which("busybox")
    assert busybox is not None
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    layer = forge.tar(
        forge.member(b"bin/busybox", Path(busybox).read_bytes(), mode=0o755),
        *(forge.symlink(f"bin/{applet}".encode(), b"busybox") for applet in applets if applet != "busybox"),
        forge.member(b"etc/passwd", PASSWD),
        forge.member(b"etc/group", b"root:x:0:\nweb:x:102:\nmore:x:200:web\n"),
        forge.directory(b"tmp", mode=0o1777),
        forge.directory(b"srv", uid=101, gid=102),
        forge.member(b"srv/index.html", b"hello\n", uid=101, gid=102),
    )
    return images.Image(layer, **{"Env": ["PATH=/bin", "FROM=image"], "WorkingDir": "/srv", **config})


def write_image(directory: Path) -> str:
    """As an OCI layout; its reference."""
    return str(images.write_files(images.layout([(make_image(Cmd=["sh", "-c", "echo default"]), {})]), directory))


class Yard:
    """A workspace with the image beside it, and the checkout of o/pages; ``open`` begins a job."""

    def __init__(self, path: Path, backend: str) -> None:
        self.path = path
        self.backend = backend
        self.image = write_image(path / "image")
        (path / "project" / ".warpforge").mkdir(parents=True)
        (path / "project" / ".warpforge" / "root").touch()

    def engine(self) -> Engine:
        return Engine(find_stack(self.path / "project", None), Reporter(), Options(acting=Acting(sandbox=self.backend)))

    def open(self, **options: Any) -> YardJob:
        return YardJob(self, self.engine(), **{"ready": 60.0, "grace": 20.0, **options})


class YardJob:
    """A job, and everything it told."""

    def __init__(self, yard: Yard, engine: Engine, **options: Any) -> None:
        self.events: list[Event] = []
        self.dawdling = 0.0  # seconds that this listener takes for an event
        self.engine = engine
        checkouts = {"o/pages": str(yard.path / "pages")}
        self.boxes = JobBoxes(engine, yard.path / "project", self._hear, checkouts.get, **options)
        self._image = yard.image
        self._number = 0

    def _hear(self, event: Event) -> None:
        time.sleep(self.dawdling)
        self.events.append(event)

    def spec(self, script: str, **more: Any) -> ContainerSpec:
        """A container of the image that runs a shell script."""
        self._number += 1
        fields = {"id": f"c{self._number}", "image": self._image, "cmd": ("sh", "-c", script), "tty": False, **more}
        return ContainerSpec(**fields)

    def run(self, script: str, **more: Any) -> tuple[int, list[str]]:
        """One container to its end: its status, what it said."""
        container = self.boxes.spawn(self.spec(script, **more))
        return self.boxes.await_exited(container), self.said(container)

    def serve(self, script: str, service: Service, **more: Any) -> str:
        """One that serves: its id, once it does."""
        container = self.boxes.spawn(self.spec(script, **more))
        self.boxes.open_service(container, service)
        return container

    def said(self, container: str) -> list[str]:
        return [
            event.line for event in self.events if isinstance(event, ContainerSaid) and event.container == container
        ]

    def states(self, container: str) -> list[str]:
        changes = [event for event in self.events if isinstance(event, ContainerChanged)]
        return [event.state for event in changes if event.container == container]

    def close(self) -> None:
        self.boxes.close()
        self.engine.close()


def refuses(port: int) -> bool:
    """Whether nobody listens at a port of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def web(name: str, expose_as: int, port: int = 8080) -> Service:
    return Service(name, (Ports(port=port, protocol="http", expose_as=expose_as),))


def until(condition: Callable[[], object], seconds: float = 60.0, *, pause: float = 0.02) -> None:
    """Wait for what must come; ``pause``: seconds between two looks."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(pause)
