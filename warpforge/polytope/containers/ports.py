"""Ports of the host: listening at one, and who listens there already."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from warpforge.errors import Unable
from warpforge.sandbox.addresses import KEEPER

LOOPBACK: Final = ("127.0.0.1", "::1")  # people say localhost, and programs try both
_TABLES: Final = ("tcp", "tcp6", "udp", "udp6")
_LISTENING: Final = {"tcp": "0A", "udp": "07"}
_BACKLOG: Final = 128
_TRIES: Final = 20


def listen(port: int, protocol: str, what: str) -> list[socket.socket]:
    """Sockets at a port of the loopback interface (0: any that is free); ``what`` wants it, for messages.

    Errors: ``already-exists`` (port), with who has it; ``io``.
    """
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    for left in reversed(range(_TRIES)):
        made: list[socket.socket] = []
        try:
            for address in LOOPBACK:
                bound = _bind(address, made[0].getsockname()[1] if made else port, kind)
                if bound is not None:
                    made.append(bound)
            break
        except OSError as error:
            for bound in made:
                bound.close()
            # one that is free at the first address need not be at the other
            if port or not left or error.errno != errno.EADDRINUSE:
                raise _refused(error, port, protocol, what) from error
    return made


def _bind(address: str, port: int, kind: int) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        made = socket.socket(family, kind | socket.SOCK_CLOEXEC)
    except OSError:
        if family == socket.AF_INET:
            raise
        return None  # no IPv6 here
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        if kind == socket.SOCK_STREAM:
            made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        if family == socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL:
            return None
        raise
    return made


def _refused(error: OSError, port: int, protocol: str, what: str) -> Unable:
    if error.errno == errno.EADDRINUSE:
        by = find_listener(port, "udp" if protocol == "udp" else "tcp")
        return Unable(
            "connection",
            f"{what} is to be reached at port {port} of this machine, where {by or 'another program'} listens already: "
            "stop that, or give another expose-as",
            reason="port-in-use",
            port=port,
            service=what,
            by=by,
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return Unable(
            "connection",
            f"{what}: port {port} of this machine is not ours to listen at: give an expose-as from 1024 on",
            reason="port-denied",
            port=port,
            service=what,
        )
    return Unable("connection", f"{what}: port {port}: {error.strerror}", reason="port", port=port, service=what)


def find_listener(port: int, kind: str) -> str:
    """The program that listens at a port, as ``nginx (pid 17)``; empty when that cannot be seen."""
    inodes = {f"socket:[{inode}]" for table in _TABLES if table.startswith(kind) for inode in _inodes(table, port)}
    if not inodes:
        return ""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{fd}") in inodes:
                        return _name(pid)
    return ""


def _name(pid: str) -> str:
    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm, open(f"/proc/{pid}/stat") as stat:
        name, parent = comm.read().strip(), stat.read().rpartition(")")[2].split()[1]
    if KEEPER.startswith(name):
        return f"another job (pt, pid {parent})"
    return f"{name} (pid {pid})"


def _inodes(table: str, port: int) -> Iterator[str]:
    """Of the sockets that listen there; proc(5) has the form of the table."""
    with suppress(OSError), open(f"/proc/net/{table}", encoding="ascii") as lines:
        for line in lines:
            words = line.split()
            if words[1].endswith(f":{port:04X}") and words[3] == _LISTENING[table[:3]]:
                yield words[9]
