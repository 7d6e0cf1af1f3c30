"""What a RUN has besides its formula: users, proxies, the caches and secrets of its mounts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from warpforge.polytope.containers.furnish import CAPABILITIES
from warpforge.sandbox.spec import Mount

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.engine.guard import Guard
    from warpforge.polytope.containers.image import Owned
    from warpforge.polytope.dockerfile.run_mounts import RunMount
    from warpforge.sandbox.ids import Ids
    from warpforge.sandbox.spec import BoxSpec

_CACHES: Final = ("polytope", "build-caches")


class Beside(NamedTuple):
    """``ids``: the uids of its box; None: changes of owner and user are said to have been done. ``user``: as images
    name one. ``owned``: what is not root's in its tree; ``owned_mounts``: likewise in its mounts. ``mounts``: in the
    place of what the formula has there. ``variables``: more than the formula's."""

    ids: Ids | None
    user: str
    owned: Sequence[Owned]
    mounts: tuple[Mount, ...] = ()
    owned_mounts: tuple[tuple[bytes, int, int], ...] = ()
    variables: Mapping[str, str] = {}
    guard: Guard | None = None

    def amend(self, spec: BoxSpec) -> BoxSpec:
        """The box with it."""
        places = {mount.at for mount in self.mounts}
        env = dict(spec.env)
        for name, value in self.variables.items():
            env.setdefault(os.fsencode(name), os.fsencode(value))
        spec = replace(
            spec,
            mounts=(*(mount for mount in spec.mounts if mount.at not in places), *self.mounts),
            env=tuple(sorted(env.items())),
        )
        owned = tuple((one.path, one.uid, one.gid) for one in self.owned)
        if self.ids is None:
            return replace(spec, pretending=True, owned=owned)
        return replace(
            spec,
            ids=self.ids,
            capabilities=CAPABILITIES,
            owned=owned,
            owned_mounts=self.owned_mounts,
            user=self.user.encode(),
            uid=-1,
            gid=-1,
        )


@contextmanager
def open_caches(engine: Engine, mounts: Sequence[RunMount]) -> Iterator[list[Mount]]:
    """The directories of caches, each for one RUN at a time when it is to be locked, and a new one for who wants its
    own while it is in use. Errors: ``store``."""
    from blake3 import blake3

    from warpforge.fsx.atomic import make_dirs

    top = engine.store.internal.joinpath(*_CACHES)
    with ExitStack() as stack:
        found = []
        for mount in mounts:
            name = blake3(os.fsencode(mount.id)).hexdigest(16)
            if mount.said.get("sharing", "shared") != "shared":
                stack.enter_context(engine.store.turn(f"cache-{name}"))
            path = top / name
            if not path.exists():
                make_dirs(str(top), 0o755, sync=False)
                path.mkdir(mount.number("mode", 0o755, 8), exist_ok=True)
                path.chmod(mount.number("mode", 0o755, 8))
                give_to_box(engine, path, mount)
            found.append(Mount(os.fsencode(mount.target), "volume", os.fsencode(path)))
        yield found


def give_to_box(engine: Engine, path: os.PathLike[str], mount: RunMount) -> None:
    """What is new to whom it belongs in the box; an ordinary user's is theirs."""
    from warpforge.sandbox.ids import find_ids

    owner = engine.box.owner
    if owner is None:
        return
    uid, gid = mount.number("uid", 0), mount.number("gid", 0)
    ids = find_ids(owner)
    if ids is None or not (uid or gid):
        os.chown(path, *owner)
    else:
        os.chown(path, _outside(uid, ids.uids), _outside(gid, ids.gids))


def _outside(number: int, lines: Sequence[tuple[int, int, int]]) -> int:
    return next((outside + number - inside for inside, outside, count in lines if 0 <= number - inside < count), 0)
