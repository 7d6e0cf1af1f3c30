"""Inside a network of our own with a public address: who leads us home? Prints the refusal, and what was asked."""

from __future__ import annotations

import fcntl
import socket
import struct

from support import hostile_http as hostile
from warpforge.errors import WarpforgeError
from warpforge.mirror.http import HttpMirror
from warpforge.mirror.policy import Access, Policy
from warpforge.model.atoms import WarehouseAddr, WareId

PUBLIC = "8.8.8.8"  # ours here, and nobody else's
SIOCSIFADDR, SIOCSIFFLAGS, UP = 0x8916, 0x8914, 1


def raise_network() -> None:
    """Loopback up, with a second, public address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", UP))
        address = struct.pack("hH4s8x", socket.AF_INET, 0, socket.inet_aton(PUBLIC))
        fcntl.ioctl(control, SIOCSIFADDR, struct.pack("16s16s", b"lo:1", address))


def main() -> None:
    raise_network()
    mirror = WareId("ztar", "x" * 44)
    with hostile.Hostile(PUBLIC) as far, hostile.Hostile("127.0.0.1") as near:
        near.on("/x", hostile.body(b"private"))
        far.on("/ok", hostile.body(b"ok"))
        access = Access(Policy(tries=1))
        try:
            HttpMirror(WarehouseAddr(far.on("/x", hostile.redirect(near.url + "/x"))), access).open(mirror)
        except WarpforgeError as error:
            print(error.reason, len(near.calls))
        with HttpMirror(WarehouseAddr(near.on("/up", hostile.redirect(far.url + "/ok"))), access).open(mirror) as body:
            print(body.read().decode())


if __name__ == "__main__":
    main()
