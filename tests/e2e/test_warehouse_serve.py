"""``warehouse serve``: many clients, slow ones, few descriptors, Ctrl-C, and two machines."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tarfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from support.processes import wait_until
from support.serving import serving
from support.world import WARPFORGE, World

from warpforge.mirror.protocol import ca_path
from warpforge.model.atoms import WareId

SIZE = 8 << 20  # more than sockets buffer


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A machine with a large ztar ware and a tar ware."""
    made = World(tmp_path_factory.mktemp("maker"))
    made.root_workspace()
    made.write("large/noise", random.Random(5).randbytes(SIZE))
    made.write("tree/hello", "hello\n")
    return made


@pytest.fixture(scope="module")
def large(maker: World) -> WareId:
    return WareId.parse(maker.run("ware", "pack", "large").out.strip())


@pytest.fixture(scope="module")
def tar(maker: World) -> WareId:
    return WareId.parse(maker.run("ware", "pack", "-t", "tar", "tree").out.strip())


def connect(address: str) -> socket.socket:
    host, _, port = address.removeprefix("ca+http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=100)


def read(address: str, ware: WareId) -> bytes:
    with urllib.request.urlopen(f"{address.removeprefix('ca+')}/{ca_path(ware)}", timeout=100) as answer:
        return bytes(answer.read())


def test_slow_clients_are_in_nobodys_way_and_an_interrupt_ends_them(maker: World, large: WareId) -> None:
    with serving(maker) as address:
        slow = [connect(address) for _ in range(40)]
        for each in slow:
            each.sendall(f"GET /{ca_path(large)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert each.recv(15) == b"HTTP/1.1 200 OK"  # and no more
        assert len(read(address, large)) > SIZE
    for each in slow:
        each.close()


def test_more_connections_than_it_takes_are_sent_away_and_come_back(maker: World, tar: WareId) -> None:
    """R01: with 64 descriptors it takes a dozen connections, and does not spin on the next."""
    with serving(maker, prefix=["prlimit", "--nofile=64:64"]) as address:
        idle = [connect(address) for _ in range(40)]
        assert idle[-1].recv(12) == b"HTTP/1.1 503"
        for each in idle:
            each.close()

        def is_let_in() -> bool:
            with connect(address) as again:
                again.sendall(b"HEAD /x HTTP/1.0\r\n\r\n")
                return again.recv(12) == b"HTTP/1.1 404"

        assert wait_until(is_let_in), "nobody is let in any more"
        assert read(address, tar)


def test_many_ask_for_one_gzip_form_and_get_the_same(maker: World, tar: WareId) -> None:
    with serving(maker, "--gzip") as address:
        got: list[bytes] = []
        threads = [threading.Thread(target=lambda: got.append(read(address, tar))) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 16 and len(set(got)) == 1
        with tarfile.open(fileobj=BytesIO(got[0]), mode="r:gz") as archive:
            assert archive.getnames() == [".", "./hello"]
        made = os.listdir(next(maker.path(".warpforge/tmp").iterdir()))
        assert len(made) == 1
    assert os.listdir(maker.path(".warpforge/tmp")) == []


def test_a_question_does_not_make_a_gzip_form(maker: World, tar: WareId) -> None:
    with serving(maker, "--gzip") as address:
        url = f"{address.removeprefix('ca+')}/{ca_path(tar)}"
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=100) as answer:
            assert answer.status == 200 and answer.headers["Content-Length"] is None
        assert os.listdir(maker.path(".warpforge/tmp")) == []
        size = len(read(address, tar))
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=100) as answer:
            assert answer.headers["Content-Length"] == str(size)


def test_a_place_that_is_taken(maker: World) -> None:
    with serving(maker) as address:
        place = address.removeprefix("ca+http://")
        error = maker.fail("warehouse", "serve", "--listen", place).error
        assert error["code"] == "warpforge-error-connection"
        assert place in error["message"]
    for wrong in ("x", "127.0.0.1:70000", "127.0.0.1:", "999.0.0.1:0"):
        assert maker.fail("warehouse", "serve", "--listen", wrong).exit in (2, 4)


@contextmanager
def two_machines() -> Iterator[tuple[list[str], list[str], str]]:
    """Two network namespaces and a cable: the words that run a command in each, and the first one's address."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and ip")
    one, two = (f"wf-test-{os.getpid()}-{end}" for end in "ab")
    try:
        for name in (one, two):
            if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
                pytest.skip("network namespaces cannot be made here")
        steps = (
            f"ip -n {one} link add cable type veth peer name cable netns {two}",
            f"ip -n {one} addr add 10.77.0.1/24 dev cable",
            f"ip -n {two} addr add 10.77.0.2/24 dev cable",
            f"ip -n {one} link set cable up",
            f"ip -n {two} link set cable up",
        )
        for step in steps:
            if subprocess.run(step.split(), capture_output=True).returncode:
                pytest.skip(f"this kernel refuses: {step}")
        yield ["ip", "netns", "exec", one], ["ip", "netns", "exec", two], "10.77.0.1"
    finally:
        for name in (one, two):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def test_one_machine_feeds_another(maker: World, large: WareId, tar: WareId, tmp_path: Path) -> None:
    other = World(tmp_path)
    other.root_workspace()
    with two_machines() as (one, two, host), serving(maker, "--gzip", listen=f"{host}:0", prefix=one) as address:
        wares = [str(large), str(tar)]
        argv = [*two, str(WARPFORGE), "mirror", "pull", "--from", address, *wares]
        done = subprocess.run(argv, cwd=other.root, env=other.environment(), capture_output=True, text=True, timeout=99)
        assert done.returncode == 0, done.stderr
        assert sorted(line.split()[0] for line in done.stdout.splitlines()) == sorted(wares)
        with pytest.raises(OSError):
            connect(address)  # from here that machine is not to be reached
    other.run("ware", "unpack", "--path", "out", str(tar))
    assert other.path("out/hello").read_text() == "hello\n"
    assert other.run("store", "verify", "--deep").exit == 0
