"""A network for boxes: addresses, names, what is carried into it, and what leads out of it."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from support.containers import refuses, until

from warpforge.sandbox.addresses import BRIDGE, RESOLVER
from warpforge.sandbox.ids import find_ids
from warpforge.sandbox.names import make_answer, parse_question
from warpforge.sandbox.network import Network, find_stack
from warpforge.sandbox.owner import find_owner

pytestmark = pytest.mark.both
_LONG = 60.0


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    owner = find_owner()
    made = Network(owner, find_ids(owner), stack="")
    yield made
    made.close()


def ask(network: Network, name: str, kind: int = 1) -> tuple[int, list[str]]:
    """The answer of the network's resolver: its code, and addresses."""
    words = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    question = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + words + struct.pack("!xHH", kind, 1)
    with network.open_socket("udp") as asking:
        asking.settimeout(_LONG)
        asking.connect((RESOLVER, 53))
        asking.send(question)
        answer = asking.recv(4096)
    flags, _, answers = struct.unpack_from("!HHH", answer, 2)
    return flags & 15, [socket.inet_ntoa(answer[-4:])] * answers


def test_names_are_known_at_once_and_no_others(network: Network) -> None:
    network.name({"db": "10.203.1.2"})
    assert ask(network, "db") == ask(network, "DB") == (0, ["10.203.1.2"])
    assert ask(network, "db", kind=28) == (0, [])
    assert ask(network, "example.org") == (3, [])  # without a way out nothing waits for an answer
    network.name({})
    assert ask(network, "db") == (3, [])


def test_an_engine_that_ends_leaves_no_socket_open() -> None:
    words = "from warpforge.sandbox.client import zygote; zygote.warm()"
    ended = subprocess.run([sys.executable, "-W", "always", "-c", words], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("message", [b"", bytes(12), b"\0" * 4 + b"\0\1" + b"\0" * 6 + b"\x40", b"\xff" * 40])
def test_nonsense_is_no_question(message: bytes) -> None:
    assert parse_question(message) is None


def test_an_answer_is_to_its_question() -> None:
    question = struct.pack("!HHHHHH", 9, 0x0100, 1, 0, 0, 1) + b"\2ab\0" + struct.pack("!HH", 1, 1) + b"further"
    assert parse_question(question) == ("ab", 1)
    answer = make_answer(question, "1.2.3.4", exists=True)
    assert answer.startswith(struct.pack("!HHHHHH", 9, 0x8580, 1, 1, 0, 0) + b"\2ab\0\0\1\0\1")
    assert answer.endswith(b"\1\2\3\4")


def test_streams_are_carried_in_turn_and_past_those_that_refuse(network: Network) -> None:
    targets = []
    for _ in range(2):
        serving = network.open_socket()
        serving.bind((BRIDGE, 0))
        serving.listen()
        targets.append(serving)
    addresses = [serving.getsockname() for serving in targets]
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    number = network.carry("tcp", listening, [*addresses, (BRIDGE, 1)])
    for serving in targets:
        threading.Thread(target=_greet, args=(serving,), daemon=True).start()
    said = []
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", port), _LONG) as connection:
            connection.sendall(b"x")
            connection.shutdown(socket.SHUT_WR)
            said.append(read_all(connection))
    assert set(said) == {str(address[1]).encode() + b"x" for address in addresses}
    network.drop(number)
    until(lambda: refuses(port))
    for serving in targets:
        serving.shutdown(socket.SHUT_RDWR)
        serving.close()


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while piece := connection.recv(100):
        data += piece
    return data


def _greet(serving: socket.socket) -> None:
    while True:
        try:
            connection, _ = serving.accept()
        except OSError:
            return  # closed
        with connection:
            data = read_all(connection)
            connection.sendall(str(serving.getsockname()[1]).encode() + data)


def test_datagrams_are_carried_there_and_back(network: Network) -> None:
    with network.open_socket("udp") as serving, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        serving.settimeout(_LONG)
        serving.bind((BRIDGE, 0))
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        network.carry("udp", listening, [serving.getsockname()])
        for _ in range(2):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.settimeout(_LONG)
                asking.connect(("127.0.0.1", port))
                asking.send(b"ping")
                data, peer = serving.recvfrom(100)
                serving.sendto(data + b"!", peer)
                assert asking.recv(100) == b"ping!"


def test_what_is_sent_to_all_of_a_commands_processes_does_not_reach_it(network: Network) -> None:
    assert os.getpgid(network._keeper.pid) != os.getpgid(0)


def test_it_is_gone_with_its_engine() -> None:
    words = (
        "from warpforge.sandbox.network import Network; from warpforge.sandbox.owner import find_owner; import os;"
        "n = Network(find_owner(), None); print(n._keeper.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, env=env).stdout
    until(lambda: not os.path.exists(f"/proc/{int(said)}/ns/net") or not _lives(int(said)))


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


REACH_OUT = """
import socket, struct, sys, threading
from warpforge.sandbox.network import Network
from warpforge.sandbox.ids import find_ids
from warpforge.sandbox.kernel import CLONE_NEWNET, CLONE_NEWUSER, setns
from warpforge.sandbox.owner import find_owner
import os
outside = socket.create_server(("10.77.0.1", 0))
inside = socket.create_server(("127.0.0.1", 0))
owner = find_owner()
network = Network(owner, find_ids(owner))
print(network.trouble, flush=True)
link = network.link()
pid = os.fork()
if pid == 0:
    setns(network.userns_fd, CLONE_NEWUSER)
    setns(link.netns_fd, CLONE_NEWNET)
    out = socket.create_connection(outside.getsockname(), 60)
    print(out.recv(10).decode(), flush=True)
    try:
        socket.create_connection(("10.203.0.2", inside.getsockname()[1]), 1)
        print("reached our loopback", flush=True)
    except OSError:
        print("not our loopback", flush=True)
    os._exit(0)
connection, _ = outside.accept()
connection.sendall(b"outside")
connection.close()
os.waitpid(pid, 0)
network.close()
"""


def test_boxes_reach_what_this_machine_reaches_but_not_its_loopback() -> None:
    if os.geteuid() or not find_stack():
        pytest.skip("needs root, for a network namespace with an address, and slirp4netns")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    script = 'ip link set lo up; ip addr add 10.77.0.1/32 dev lo; exec "$0" -c "$1"'
    argv = ["unshare", "--net", "sh", "-c", script, sys.executable, REACH_OUT]
    done = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=100)
    assert done.stdout.splitlines() == ["", "outside", "not our loopback"], done.stderr
