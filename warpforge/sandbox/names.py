"""A resolver for the boxes of a network: it knows their names, and hands every other question on.

RFC 1035 has the form. A name that is known has one IPv4 address and nothing else; it may be asked with any domain
that a search list appended. With nobody to hand on to every other name does not exist, so that nothing waits for it.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any

_HEAD = struct.Struct("!HHHHHH")
_RESPONSE, _RECURSION_DESIRED, _RECURSION_AVAILABLE, _AUTHORITATIVE = 0x8000, 0x0100, 0x0080, 0x0400
_NXDOMAIN = 3
_A, _IN = 1, 1
_PORT = 53
_PATIENCE = 5.0
_LONGEST_TCP = 65535


class Names:
    """``known``: address by name. ``upstream``: a resolver's address, or nothing."""

    def __init__(self, upstream: str) -> None:
        self.known: dict[str, str] = {}
        self._upstream = upstream
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, address: str) -> None:
        """Answer there. Raises OSError."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: _Asked(self), local_addr=(address, _PORT))
        self._server = await asyncio.start_server(self._serve, address, _PORT)

    async def answer(self, question: bytes, *, tcp: bool = False) -> bytes | None:
        """The answer to a message; None when there will be none."""
        parsed = parse_question(question)
        if parsed is None:
            return None
        name, kind = parsed
        address = self.known.get(name)
        if address is not None:
            return make_answer(question, address if kind == _A else "", exists=True)
        if not self._upstream:
            return make_answer(question, "", exists=False)
        ask = _ask_by_tcp if tcp else _ask_by_udp
        try:
            return await asyncio.wait_for(ask(self._upstream, question), _PATIENCE)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            return None

    def reply(self, transport: Any, question: bytes, peer: Any) -> None:
        """Answer one datagram when the answer is known."""

        async def work() -> None:
            if (answer := await self.answer(question)) is not None:
                transport.sendto(answer, peer)

        task = asyncio.ensure_future(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                answer = await self.answer(await reader.readexactly(length), tcp=True)
                if answer is None:
                    break
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class _Asked(asyncio.DatagramProtocol):
    def __init__(self, names: Names) -> None:
        self._names = names

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._names.reply(self._transport, data, addr)


def parse_question(message: bytes) -> tuple[str, int] | None:
    """The name, in small letters, and the kind of record of a message with one question; None for any other."""
    try:
        _, flags, questions, _, _, _ = _HEAD.unpack_from(message)
        if flags & _RESPONSE or questions != 1:
            return None
        labels, at = [], _HEAD.size
        while length := message[at]:
            if length > 63:
                return None
            labels.append(message[at + 1 : at + 1 + length])
            at += 1 + length
        kind, _ = struct.unpack_from("!HH", message, at + 1)
    except (struct.error, IndexError):
        return None
    return b".".join(labels).decode("ascii", "replace").lower(), kind


def make_answer(question: bytes, address: str, *, exists: bool) -> bytes:
    """The answer to a parsed question: an address, or that there is none of that kind, or no such name."""
    number, flags, _, _, _, _ = _HEAD.unpack_from(question)
    end = _HEAD.size
    while length := question[end]:
        end += 1 + length
    asked = question[_HEAD.size : end + 5]
    flags = _RESPONSE | _AUTHORITATIVE | _RECURSION_AVAILABLE | flags & _RECURSION_DESIRED
    head = _HEAD.pack(number, flags if exists else flags | _NXDOMAIN, 1, 1 if address else 0, 0, 0)
    if not address:
        return head + asked
    record = struct.pack("!HHHIH", 0xC000 | _HEAD.size, _A, _IN, 0, 4) + bytes(map(int, address.split(".")))
    return head + asked + record


async def _ask_by_udp(resolver: str, question: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bytes] = loop.create_future()

    class Asking(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            if not answered.done() and data[:2] == question[:2]:
                answered.set_result(data)

    transport, _ = await loop.create_datagram_endpoint(Asking, remote_addr=(resolver, _PORT))
    try:
        transport.sendto(question)
        return await answered
    finally:
        transport.close()


async def _ask_by_tcp(resolver: str, question: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(resolver, _PORT)
    try:
        writer.write(struct.pack("!H", len(question)) + question)
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        return await reader.readexactly(min(length, _LONGEST_TCP))
    finally:
        writer.close()
