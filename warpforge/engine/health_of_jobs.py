"""Health of jobs: whether their boxes get a network, a way out of it, and the uids that images know. Tried for real."""

from __future__ import annotations

from collections.abc import Iterator

from warpforge.engine.health import OK, WARN, Check
from warpforge.errors import WarpforgeError
from warpforge.sandbox.ids import COUNT, explain_one, find_ids
from warpforge.sandbox.network import Network
from warpforge.sandbox.owner import find_owner


def examine_jobs() -> Iterator[Check]:
    """What containers need beyond a box."""
    owner = find_owner()
    ids = find_ids(owner)
    try:
        network = Network(owner, ids)
        try:
            network.unlink(network.link())
        finally:
            network.close()
    except WarpforgeError as error:
        yield Check("job network", WARN, error.message, "containers of `pt` need it; builds do not")
    else:
        text, _, advice = network.trouble.partition("; ")
        yield Check("job network", WARN if text else OK, text or "works, and leads out", advice)
    if ids is None:
        yield Check(
            "job uids",
            WARN,
            "a container has one uid: changes of owner and user are remembered by bwrap's boxes, and not done",
            _one(owner),
        )
    else:
        yield Check("job uids", OK, f"a container has {COUNT}")


def _one(owner: tuple[int, int] | None) -> str:
    return explain_one(owner).partition(": ")[2] or explain_one(owner)
