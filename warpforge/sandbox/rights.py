"""Descriptors that go from one process to another over a socket: unix(7).

Cheap to import: zygote, helper and whoever starts them do.
"""

from __future__ import annotations

import _socket  # the public socket costs milliseconds more, most of it for enumerations
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def send_rights(link: _socket.socket, data: bytes, fds: Sequence[int]) -> None:
    """One message with descriptors."""
    link.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))] if fds else [])


def receive_rights(link: _socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """What comes, with the descriptors that come with it, close-on-exec."""
    data, ancillary, _, _ = link.recvmsg(size, _socket.CMSG_SPACE(4 * most), _socket.MSG_CMSG_CLOEXEC)
    rights = ancillary[0][2] if ancillary else b""
    return data, [*struct.unpack(f"{len(rights) // 4}i", rights)]
