"""Carrying connections and datagrams from a listening socket to one of several targets, in turn."""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import Any

Target = tuple[str, int]
_CHUNK = 1 << 16
_BACKLOG = 128
_PATIENCE = 5.0  # seconds for one target to accept
_IDLE = 60.0  # seconds after which a silent peer's datagrams are another conversation


class Carrier:
    """What is carried, by a number that the engine chose."""

    def __init__(self) -> None:
        self._carried: dict[int, _Stream | _Datagrams] = {}

    async def carry(
        self, number: int, protocol: str, listening: socket.socket | None, at: Target | None, targets: list[Target]
    ) -> None:
        """Begin: with a socket of the host's, or one made here at an address of the network. Raises OSError."""
        if listening is None:
            assert at is not None
            listening = _listen(protocol, at)
        carried = _Datagrams(targets) if protocol == "udp" else _Stream(targets)
        await carried.begin(listening)
        self._carried[number] = carried

    def retarget(self, number: int, targets: list[Target]) -> None:
        """From now on these; what is under way stays."""
        if (carried := self._carried.get(number)) is not None:
            carried.targets.replace(targets)

    def drop(self, number: int) -> None:
        """Listen no more."""
        if (carried := self._carried.pop(number, None)) is not None:
            carried.end()


class _Targets:
    """Round and round."""

    def __init__(self, targets: list[Target]) -> None:
        self.replace(targets)

    def replace(self, targets: list[Target]) -> None:
        self._targets = targets
        self._next = itertools.cycle(range(len(targets))) if targets else iter(())

    def in_turn(self) -> list[Target]:
        """All, the one whose turn it is first."""
        first = next(self._next, 0)
        return [*self._targets[first:], *self._targets[:first]]


class _Stream:
    """TCP."""

    def __init__(self, targets: list[Target]) -> None:
        self.targets = _Targets(targets)
        self._under_way: set[asyncio.Task[None]] = set()

    async def begin(self, listening: socket.socket) -> None:
        self._server = await asyncio.start_server(self._serve, sock=listening, backlog=_BACKLOG)

    def end(self) -> None:
        self._server.close()
        for task in self._under_way:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        ends = [writer]
        try:
            far = await self._connect()
            if far is not None:
                ends.append(far[1])
                await asyncio.gather(_pipe(reader, far[1]), _pipe(far[0], writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in ends:
                end.transport.abort() if end.transport.is_closing() else end.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for address, port in self.targets.in_turn():
            try:
                return await asyncio.wait_for(asyncio.open_connection(address, port), _PATIENCE)
            except (TimeoutError, OSError):
                continue
        return None


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK):
        sink.write(data)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()


class _Datagrams(asyncio.DatagramProtocol):
    """UDP: each peer has a conversation with one target."""

    def __init__(self, targets: list[Target]) -> None:
        self.targets = _Targets(targets)
        self._conversations: dict[Any, _Conversation] = {}

    async def begin(self, listening: socket.socket) -> None:
        listening.setblocking(False)  # noqa: FBT003
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=listening)

    def end(self) -> None:
        self._near.close()
        for conversation in [*self._conversations.values()]:
            conversation.end()

    def connection_made(self, transport: Any) -> None:
        self._near = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        conversation = self._conversations.get(addr)
        if conversation is None:
            targets = self.targets.in_turn()
            if not targets:
                return
            far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            far.connect(targets[0])
            conversation = self._conversations[addr] = _Conversation(far, self._near, addr, self._conversations)
        conversation.say(data)


class _Conversation:
    """One peer's."""

    def __init__(self, far: socket.socket, near: Any, peer: Any, among: dict[Any, _Conversation]) -> None:
        self._far, self._near, self._peer, self._among = far, near, peer, among
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(far.fileno(), self._hear)
        self._timer = self._loop.call_later(_IDLE, self.end)

    def say(self, data: bytes) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(_IDLE, self.end)
        try:
            self._far.send(data)
        except OSError:
            pass  # lost, as datagrams are

    def _hear(self) -> None:
        try:
            self._near.sendto(self._far.recv(_CHUNK), self._peer)
        except OSError:
            pass

    def end(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._far.fileno())
        self._far.close()
        self._among.pop(self._peer, None)


def _listen(protocol: str, at: Target) -> socket.socket:
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    made = socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(at)
    except BaseException:
        made.close()
        raise
    return made
