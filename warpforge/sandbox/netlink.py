"""Interfaces, addresses and routes of a network namespace, by rtnetlink: the few messages that a network is made of.

Forms and numbers are from linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h and linux/veth.h. A socket belongs to
the namespace in which it was opened, wherever its process goes. Raises OSError.
"""

from __future__ import annotations

import os
import socket
import struct

_NLMSG = struct.Struct("=IHHII")
_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE = 16, 17, 20, 24
_REQUEST, _ACK, _EXCL, _CREATE = 0x1, 0x4, 0x200, 0x400
_ERROR = 2
_IFNAME, _MTU, _MASTER, _LINKINFO, _NET_NS_FD = 3, 4, 10, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_GATEWAY, _RTA_OIF = 5, 4
_IFF_UP = 1
_TABLE_MAIN, _PROTO_STATIC, _UNICAST = 254, 4, 1


class Netlink:
    """A socket of the namespace that the caller is in."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._number = 0

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()

    def add_bridge(self, name: str, mtu: int) -> None:
        """A bridge without ports."""
        info = _attribute(_LINKINFO, _attribute(_INFO_KIND, b"bridge"))
        self._make(_named(name, mtu) + info)

    def add_veth(self, name: str, peer: str, netns_fd: int, mtu: int) -> None:
        """A pair of interfaces: one here, its peer in another namespace."""
        far = _IFINFO.pack(0, 0, 0, 0, 0) + _named(peer, mtu) + _attribute(_NET_NS_FD, struct.pack("=I", netns_fd))
        data = _attribute(_INFO_DATA, _attribute(_VETH_PEER, far))
        self._make(_named(name, mtu) + _attribute(_LINKINFO, _attribute(_INFO_KIND, b"veth") + data))

    def remove(self, index: int) -> None:
        """Remove an interface, and the peer that it has."""
        self._ask(_DELLINK, 0, _IFINFO.pack(0, 0, index, 0, 0))

    def set_up(self, index: int, *, master: int = 0, mtu: int = 0) -> None:
        """Have it work, as a port of a bridge if there is one."""
        body = _IFINFO.pack(0, 0, index, _IFF_UP, _IFF_UP)
        if master:
            body += _attribute(_MASTER, struct.pack("=I", master))
        if mtu:
            body += _attribute(_MTU, struct.pack("=I", mtu))
        self._ask(_NEWLINK, 0, body)

    def add_address(self, index: int, address: str, bits: int) -> None:
        """An IPv4 address with the length of its network's prefix."""
        packed = socket.inet_aton(address)
        body = _IFADDR.pack(socket.AF_INET, bits, 0, 0, index)
        self._ask(_NEWADDR, _CREATE | _EXCL, body + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed))

    def add_default_route(self, index: int, gateway: str) -> None:
        """Everything that is nowhere else goes there."""
        body = _ROUTE.pack(socket.AF_INET, 0, 0, 0, _TABLE_MAIN, _PROTO_STATIC, 0, _UNICAST, 0)
        body += _attribute(_RTA_GATEWAY, socket.inet_aton(gateway)) + _attribute(_RTA_OIF, struct.pack("=I", index))
        self._ask(_NEWROUTE, _CREATE | _EXCL, body)

    def _make(self, attributes: bytes) -> None:
        self._ask(_NEWLINK, _CREATE | _EXCL, _IFINFO.pack(0, 0, 0, 0, 0) + attributes)

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        self._number += 1
        head = _NLMSG.pack(_NLMSG.size + len(body), kind, _REQUEST | _ACK | flags, self._number, 0)
        self._socket.send(head + body)
        answer = self._socket.recv(1 << 16)
        _, kind, _, _, _ = _NLMSG.unpack_from(answer)
        number = -struct.unpack_from("=i", answer, _NLMSG.size)[0] if kind == _ERROR else 0
        if number:
            raise OSError(number, os.strerror(number))


def _attribute(kind: int, data: bytes) -> bytes:
    length = 4 + len(data)
    return struct.pack("=HH", length, kind) + data + bytes(-length % 4)


def _named(name: str, mtu: int) -> bytes:
    return _attribute(_IFNAME, name.encode() + b"\0") + _attribute(_MTU, struct.pack("=I", mtu))
