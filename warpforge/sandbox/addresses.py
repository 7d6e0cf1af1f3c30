"""The addresses of a job's network: pure. It is nobody else's business, so all have the same."""

from __future__ import annotations

NETWORK = "10.203.0.0"
BITS = 16
MTU = 65520
TAP = "tap"
KEEPER = "warpforge-network"  # the process that holds a network, for whoever looks at a list of them
BRIDGE = "10.203.0.1"  # the keeper's own
GATEWAY = "10.203.0.2"  # the user-mode stack's, by its own rule
UPSTREAM = "10.203.0.3"  # its resolver, likewise
RESOLVER = BRIDGE  # ours, which knows the services, and asks that one


def address_of(number: int) -> str:
    """The address of this number in the network."""
    return f"10.203.{number >> 8}.{number & 255}"
