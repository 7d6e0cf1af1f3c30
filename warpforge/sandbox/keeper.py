"""The keeper: a process that holds the network of one job, and does in it what its engine asks.

It lives in the network's namespaces: everything it opens is of the network, everything it was given (listening
sockets of the host) is of the machine, and it carries connections from one to the other. When it ends, and when its
engine ends, the network is gone with the last box in it: the kernel keeps no names of it.

Requests come as datagrams of JSON, perhaps with one descriptor, and are answered in order: ``{}`` with what was asked
for, or ``{"error": errno, "text": ...}``. See ``network`` for what there is to ask.
"""

from __future__ import annotations

import array
import asyncio
import itertools
import json
import os
import socket
import stat
from typing import Any

from warpforge.sandbox.addresses import BITS, BRIDGE, GATEWAY, KEEPER, MTU, NETWORK, RESOLVER, TAP, UPSTREAM, address_of
from warpforge.sandbox.carry import Carrier
from warpforge.sandbox.identity import become, map_one
from warpforge.sandbox.kernel import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    PR_SET_PDEATHSIG,
    mount,
    prctl,
    rename_process,
    setns,
    unshare,
)
from warpforge.sandbox.names import Names
from warpforge.sandbox.netlink import Netlink
from warpforge.sandbox.outside import SIGTERM, Outside, run_mapper
from warpforge.sandbox.rights import receive_rights

_LONGEST = 1 << 20
_FIRST_BOX = 16  # below are the bridge, and what the user-mode stack answers for
# the widest group range that there is: a network of one uid knows but one
_SYSCTLS = (("ip_unprivileged_port_start", b"0"), ("ping_group_range", b"0 0"), ("ping_group_range", b"0 65534"))
_MOST = (1 << (32 - BITS)) - 2
_TUN = "/dev/net/tun"


def main(channel_fd: int) -> None:
    """Make the network, say so, serve until the engine is gone."""
    rename_process(KEEPER.encode())
    channel = socket.socket(fileno=channel_fd)
    config = json.loads(channel.recv(_LONGEST))
    owner = config["owner"]
    mapper = Outside.fork(run_mapper, config["tools"]) if config["uids"] else None
    stack = Outside.fork(_become_stack, config["stack"], owner) if config["stack"] else None
    if owner:
        become(*owner)
    uid, gid = os.getuid(), os.getgid()
    unshare(CLONE_NEWUSER | CLONE_NEWNET)
    if mapper is not None:
        mapper.map(config["uids"], config["gids"])
    else:
        map_one(uid, gid)
    keeper = Keeper(channel, stack)
    os.write(1, b"+")
    asyncio.run(keeper.serve())


def _become_stack(link: socket.socket, program: str, owner: list[int] | None) -> None:
    pid, fds = receive_rights(link, 16, 2)
    if not fds:
        return
    leave, ready = fds
    for fd in (leave, ready):
        os.set_inheritable(fd, True)  # noqa: FBT003
    if owner:
        _give_tun(*owner)
        become(*owner)
        prctl(PR_SET_PDEATHSIG, SIGTERM)
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    places = [f"--userns-path=/proc/{int(pid)}/ns/user", "--netns-type=path", f"/proc/{int(pid)}/ns/net", TAP]
    words = [f"--cidr={NETWORK}/{BITS}", f"--mtu={MTU}", "--disable-host-loopback", "--enable-seccomp"]
    os.execve(program, [program, *words, f"--exit-fd={leave}", f"--ready-fd={ready}", *places], {})


def _join(stack: Outside) -> int:
    """Have the user-mode stack join us; a descriptor whose end is the stack's, -1 when it did not start."""
    leave_read, leave = os.pipe()
    ready, ready_write = os.pipe()
    stack.tell(b"%d" % os.getpid(), [leave_read, ready_write])
    for fd in (leave_read, ready_write):
        os.close(fd)
    started = os.read(ready, 1)
    os.close(ready)
    return leave if started else -1


def _give_tun(uid: int, gid: int) -> None:
    """Only root may open the machine's /dev/net/tun on some: the build uid gets one of its own, for itself alone."""
    unshare(CLONE_NEWNS)
    mount(None, b"/", None, MS_REC | MS_PRIVATE)
    mount(b"tmpfs", b"/dev/net", b"tmpfs", MS_NOSUID | MS_NOEXEC, b"mode=0755,size=64k")
    os.mknod(_TUN, stat.S_IFCHR | 0o600, os.makedev(10, 200))
    os.chown(_TUN, uid, gid)


class Keeper:
    """The network itself."""

    def __init__(self, channel: socket.socket, stack: Outside | None) -> None:
        self._channel = channel
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._netlink = Netlink()
        self._netlink.set_up(1)
        self._netlink.add_bridge("bridge", MTU)
        self._bridge = socket.if_nametoindex("bridge")
        self._netlink.add_address(self._bridge, BRIDGE, BITS)
        self._netlink.set_up(self._bridge)
        self._numbers = itertools.cycle(range(_FIRST_BOX, _MOST))
        self._links: dict[str, int] = {}  # address -> interface
        self._virtual: set[str] = set()
        self._leave = -1
        self.trouble = "" if stack else "no-stack"
        if stack is not None:
            self._leave = _join(stack)
            if self._leave >= 0:
                self._netlink.set_up(socket.if_nametoindex(TAP), master=self._bridge, mtu=MTU)
            else:
                self.trouble = "not-started"
        self._names = Names(UPSTREAM if self._leave >= 0 else "")
        self._carrier = Carrier()

    async def serve(self) -> None:
        """Answer until nobody can ask any more."""
        loop = asyncio.get_running_loop()
        gone = loop.create_future()
        self._channel.setblocking(False)  # noqa: FBT003
        await self._names.begin(RESOLVER)

        def end() -> None:
            if not gone.done():
                gone.set_result(None)

        loop.add_reader(0, end)
        requests: asyncio.Queue[tuple[dict[str, Any], list[int]]] = asyncio.Queue()

        def hear() -> None:
            try:
                data, ancillary, _, _ = self._channel.recvmsg(_LONGEST, socket.CMSG_SPACE(4))
            except ConnectionError:  # the engine was killed before it had heard an answer
                end()
                return
            fds = array.array("i", ancillary[0][2]).tolist() if ancillary else []
            if data:
                requests.put_nowait((json.loads(data), fds))
            else:
                end()

        loop.add_reader(self._channel.fileno(), hear)
        worker = asyncio.ensure_future(self._work(requests))
        await gone
        worker.cancel()
        os._exit(0)

    async def _work(self, requests: asyncio.Queue[tuple[dict[str, Any], list[int]]]) -> None:
        while True:
            request, fds = await requests.get()
            given: list[int] = []
            try:
                answer = await self._obey(request, fds, given)
            except OSError as error:
                answer = {"error": error.errno or 5, "text": error.strerror or str(error)}
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", given))] if given else []
            self._channel.sendmsg([json.dumps(answer).encode()], rights)
            for fd in given:
                os.close(fd)

    async def _obey(self, request: dict[str, Any], fds: list[int], given: list[int]) -> dict[str, Any]:
        match request["do"]:
            case "begin":
                return {"trouble": self.trouble}
            case "link":
                return self._link(given)
            case "unlink":
                self._unlink(request["address"])
            case "virtual":
                return self._add_virtual()
            case "names":
                self._names.known = request["names"]
            case "socket":
                kind = socket.SOCK_DGRAM if request["protocol"] == "udp" else socket.SOCK_STREAM
                given.append(socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC).detach())
            case "carry":
                at = (request["address"], request["port"]) if request["address"] else None
                listening = socket.socket(fileno=fds[0]) if fds else None
                await self._carrier.carry(request["id"], request["protocol"], listening, at, _targets(request))
            case "targets":
                self._carrier.retarget(request["id"], _targets(request))
            case "drop":
                self._carrier.drop(request["id"])
        return {}

    def _link(self, given: list[int]) -> dict[str, Any]:
        """A network namespace with one address, joined to the bridge."""
        address = self._new_address()
        name = f"box{address.rpartition('.')[0].rpartition('.')[2]}.{address.rpartition('.')[2]}"
        unshare(CLONE_NEWNET)
        try:
            box = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            inner = Netlink()
            _set_sysctls()
        finally:
            setns(self._home, CLONE_NEWNET)
        given.append(box)
        self._netlink.add_veth(name, "eth0", box, MTU)
        outer = socket.if_nametoindex(name)
        self._links[address] = outer
        self._netlink.set_up(outer, master=self._bridge)
        setns(box, CLONE_NEWNET)
        try:
            index = socket.if_nametoindex("eth0")
        finally:
            setns(self._home, CLONE_NEWNET)
        inner.set_up(1)
        inner.add_address(index, address, BITS)
        inner.set_up(index)
        if self._leave >= 0:
            inner.add_default_route(index, GATEWAY)
        inner.close()
        return {"address": address}

    def _unlink(self, address: str) -> None:
        index = self._links.pop(address, 0)
        if index:
            try:
                self._netlink.remove(index)
            except OSError:
                pass  # went with its peer's namespace

    def _add_virtual(self) -> dict[str, Any]:
        address = self._new_address()
        self._netlink.add_address(self._bridge, address, 32)
        self._virtual.add(address)
        return {"address": address}

    def _new_address(self) -> str:
        for number in itertools.islice(self._numbers, _MOST):
            address = address_of(number)
            if address not in self._links and address not in self._virtual:
                return address
        raise OSError(28, "no address is left")


def _targets(request: dict[str, Any]) -> list[tuple[str, int]]:
    return [(address, port) for address, port in request["targets"]]


def _set_sysctls() -> None:
    """As in other containers: any uid may listen on any port, and may ping."""
    for name, value in _SYSCTLS:
        try:
            with open(f"/proc/sys/net/ipv4/{name}", "wb", buffering=0) as file:
                file.write(value)
        except OSError:
            pass  # a kernel without it
