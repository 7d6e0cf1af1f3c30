"""Registries: Debian's own on the loopback, and a hostile server that speaks as one does."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from .hostile_http import Behaviour, Call, Hostile, body
from .images import MANIFEST, Image
from .places import find_server, free_port, wait_for


@contextmanager
def docker_registry(work: Path) -> Iterator[str]:
    """Debian's docker-registry; gives HOST:PORT. Skips the test where there is none."""
    with _serve(work, f"{{filesystem: {{rootdirectory: {work}/registry}}}}") as host:
        yield host


@contextmanager
def image_registry(work: Path) -> Iterator[str]:
    """Debian's docker-registry with the images that set-up made (debian:12 postgres:15 nginx:1.22 python:3.11
    node:18), to be read only; gives HOST:PORT. Skips the test where there are none."""
    images = Path(sys.prefix) / "images/registry"
    if not images.exists():
        pytest.skip("the images are not here: `make setup` makes them")
    storage = f"{{filesystem: {{rootdirectory: {images}}}, maintenance: {{readonly: {{enabled: true}}}}}}"
    with _serve(work, storage) as host:
        yield host


@contextmanager
def _serve(work: Path, storage: str) -> Iterator[str]:
    program = find_server("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not here: `make setup` unpacks it")
    port = free_port()
    config = work / "registry.yml"
    config.write_text(f"version: 0.1\nlog: {{level: error}}\nstorage: {storage}\nhttp: {{addr: '127.0.0.1:{port}'}}\n")
    running = subprocess.Popen([program, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, running)
        yield f"127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait()


def host_of(server: Hostile) -> str:
    return server.url.partition("://")[2]


def offer(server: Hostile, image: Image, name: str, tag: str) -> None:
    """An honest registry of one image; single paths may be made to lie afterwards."""
    manifest = image.manifest()
    for what in (tag, f"sha256:{image.id}"):
        server.on(f"/v2/{name}/manifests/{what}", body(manifest, f"Content-Type: {MANIFEST}"))
    for digest, data in image.blobs.items():
        server.on(f"/v2/{name}/blobs/{digest}", body(data))


def blob_path(image: Image, name: str, number: int = 0) -> str:
    """Of one layer."""
    return f"/v2/{name}/blobs/{image.layers[number]['digest']}"


def basic(user: str, password: str) -> str:
    return b64encode(f"{user}:{password}".encode()).decode()


def guard(server: Hostile, challenge: str, authorization: str, prefix: str = "/v2/") -> None:
    """Let nobody in, below a path, but who says the right Authorization."""

    def guarded(behaviour: Behaviour) -> Behaviour:
        def answer(call: Call) -> None:
            if call.headers.get("authorization") == authorization:
                behaviour(call)
            else:
                call.head("401 Unauthorized", "Content-Length: 0", f"WWW-Authenticate: {challenge}")

        return answer

    server.wrap(prefix, guarded)


def token_path(scope: str, service: str = "") -> str:
    return "/token?" + urlencode({"scope": scope, **({"service": service} if service else {})})
