"""Every kind of mirror, with its real far end: a directory, HTTP servers, nginx, an S3 server."""

from __future__ import annotations

import functools
import http.server
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from warpforge.mirror.policy import Access, Policy
from warpforge.mirror.protocol import Mirror, ca_path, connect
from warpforge.model.atoms import WarehouseAddr, WareId

QUICK = Policy(connect=30.0, stall=30.0, tries=2, pause=0.01)  # a busy machine takes its time
AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
}
BUCKET = "wares"
_leases: list[socket.socket] = []  # of ports, kept to the end of the process


class MirrorPlace(NamedTuple):
    """An address, its mirror, and how a ware gets there behind its back."""

    address: WarehouseAddr
    mirror: Mirror
    put: Callable[[WareId, bytes], None]
    writable: bool


def file_place(base: Path, *, many: bool) -> MirrorPlace:
    address = WarehouseAddr(f"ca+file://{base}" if many else f"file://{base}/one.tar")
    return MirrorPlace(address, connect(address), functools.partial(_put_file, base, many=many), True)


def http_place(base: Path, url: str, *, many: bool) -> MirrorPlace:
    """A directory that somebody serves at ``url``."""
    address = WarehouseAddr(f"ca+{url}" if many else f"{url}/one.tar")
    mirror = connect(address, Access(QUICK))
    return MirrorPlace(address, mirror, functools.partial(_put_file, base, many=many), False)


def s3_place(endpoint: str, name: str, *, many: bool) -> MirrorPlace:
    """``name``: the part of the bucket that is this test's own."""
    address = WarehouseAddr(f"ca+s3://{BUCKET}/{name}" if many else f"s3://{BUCKET}/{name}.tar")
    mirror = connect(address, Access(QUICK, s3_endpoint=endpoint))
    return MirrorPlace(address, mirror, lambda ware, data: mirror.push(ware, BytesIO(data)), True)


def oci_place(host: str, name: str) -> MirrorPlace:
    """A repository of a registry that is this test's own."""
    address = WarehouseAddr(f"oci://{host}/{name}")
    mirror = connect(address, Access(QUICK))
    return MirrorPlace(address, mirror, lambda ware, data: mirror.push(ware, BytesIO(data)), True)


@contextmanager
def directory_server(base: Path) -> Iterator[str]:
    """Python's own HTTP server of a directory."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client may leave early."""

    with Server(("127.0.0.1", 0), functools.partial(Quiet, directory=str(base))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def nginx_server(base: Path, work: Path, more: str = "", certificate: Path | None = None) -> Iterator[str]:
    """nginx over a directory; skips the test where there is none. ``certificate``: a file with key and certificate."""
    nginx = find_server("nginx")
    if nginx is None:
        import pytest

        pytest.skip("nginx is not here: `make setup` unpacks it")
    port = free_port()
    config = work / "nginx.conf"
    paths = "".join(f"{name}_temp_path {work}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};" if certificate else ""
    tls += f"listen 127.0.0.2:{port} ssl;" if tls else ""  # where the certificate does not hold
    config.write_text(
        f"daemon off; pid {work}/pid; error_log {work}/errors; worker_processes 1; {'user root;' * (not os.geteuid())}"
        f"events {{}} http {{ {paths} access_log off;"
        f"server {{ listen 127.0.0.1:{port}{' ssl' if tls else ''}; {tls} root {base}; {more} }} }}"
    )
    argv = [nginx, "-c", str(config), "-p", str(work), "-e", f"{work}/errors"]
    running = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, running)
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait()


def find_server(name: str) -> str | None:
    """A server's program: installed, or unpacked by the set-up beside the Python that runs the tests."""
    unpacked = os.pathsep.join(f"{sys.prefix}/servers/usr/{directory}" for directory in ("sbin", "bin"))
    return shutil.which(name) or shutil.which(name, path=f"/usr/sbin{os.pathsep}{unpacked}")


@contextmanager
def s3_server() -> Iterator[str]:
    """A server that speaks as S3 does, with an empty bucket."""
    import boto3

    port = free_port()
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = {**os.environ, **AWS}
    running = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, running)
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
        boto3.session.Session().client("s3", endpoint_url=f"http://127.0.0.1:{port}", **keys).create_bucket(
            Bucket=BUCKET
        )
        yield f"http://127.0.0.1:{port}"
    finally:
        running.kill()
        running.wait()


def free_port() -> int:
    """A port of the loopback interface that nobody has, nor will be given before this process ends.

    Below those that the kernel gives to whoever asks for any. Tests run side by side in processes: the lease is a
    name in the network namespace, which is as wide as ports are.
    """
    for port in random.sample(range(10_000, 32_000), 200):
        lease = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            lease.bind(f"\0warpforge-test-port-{port}")
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            lease.close()
            continue
        _leases.append(lease)
        return port
    raise AssertionError("every port is taken")


def wait_for(port: int, running: subprocess.Popen[bytes]) -> None:
    """Until somebody listens."""
    for _ in range(2000):
        assert running.poll() is None, "the server has ended"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server does not listen")


def _put_file(base: Path, ware: WareId, data: bytes, *, many: bool) -> None:
    path = base / (ca_path(ware) if many else "one.tar")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
