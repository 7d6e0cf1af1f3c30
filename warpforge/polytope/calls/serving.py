"""Which ports a container serves at: evaluated arguments -> services, with ranges spelled out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from warpforge.polytope.calls.taking import Taking, show
from warpforge.polytope.nouns import Value
from warpforge.polytope.spec import Ports, Protocol, Service

PROTOCOLS: Final[tuple[Protocol, ...]] = ("tcp", "udp", "http", "https")
_RANGE: Final = re.compile(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?")
_LAST: Final = 65535


def take_services(taking: Taking, value: Value) -> tuple[Service, ...]:
    """The services; two with one id, or one port twice in a service, are a fault."""
    services: dict[str, tuple[Service, str]] = {}
    for item, path in taking.items(value, "services"):
        said = taking.mapping(item, path)
        name = taking.text(said.get("id"), f"{path}.id")
        if not name:
            taking.fault(f"{path}.id", "a service has an id: the name that others reach it by")
        elif name in services:
            taking.fault(f"{path}.id", f"{services[name][1]} is called {name} already")
        else:
            services[name] = Service(name, _take_ports(taking, said.get("ports"), f"{path}.ports")), path
    return tuple(service for service, _ in services.values())


def _take_ports(taking: Taking, value: Value, path: str) -> tuple[Ports, ...]:
    seen: dict[tuple[int, bool], tuple[Ports, str]] = {}
    for item, where in taking.items(value, path):
        for port in _take_entry(taking, item, where):
            key = port.port, port.protocol == "udp"
            if key in seen:
                taking.fault(where, f"port {port.port} is in {seen[key][1]} already")
                break
            seen[key] = port, where
    return tuple(port for port, _ in seen.values())


def _take_entry(taking: Taking, value: Value, path: str) -> Iterable[Ports]:
    said = taking.mapping(value, path) if isinstance(value, dict) else {"port": value}
    is_range = said.get("range") is not None
    key = "range" if is_range else "port"
    if is_range and said.get("port") is not None:
        taking.fault(path, "either port or range")
    ports = _take_numbers(taking, said.get(key), f"{path}.{key}", is_range=is_range)
    goals = [0] * len(ports)
    if said.get("expose-as") is not None:
        goals = _take_numbers(taking, said["expose-as"], f"{path}.expose-as", is_range=is_range)
        if len(goals) != len(ports) and ports and goals:
            taking.fault(f"{path}.expose-as", f"{len(goals)} ports for {len(ports)}: they must be as many")
    protocol = taking.choice(said.get("protocol"), f"{path}.protocol", PROTOCOLS, "tcp")
    label = taking.text(said.get("label"), f"{path}.label")
    internal = taking.truth(said.get("internal"), f"{path}.internal")
    return [
        Ports(port=port, protocol=protocol, label=label, expose_as=goal, is_internal=internal)
        for port, goal in zip(ports, goals, strict=False)
    ]


def _take_numbers(taking: Taking, value: Value, path: str, *, is_range: bool) -> list[int]:
    """``80,443,8000-8100``, or one port."""
    parts = taking.text(value, path).split(",") if is_range else [str(taking.whole(value, path, -1))]
    found: list[int] = []
    for part in parts:
        match = _RANGE.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= _LAST:
            taking.fault(path, f"{show(value)}: ports are numbers from 1 to {_LAST}" + (" or ranges" * is_range))
            return []
        found += range(first, last + 1)
    return found
