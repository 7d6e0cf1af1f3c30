"""Images as containers begin with them: what an image says of the command, and to whom its files belong."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from warpforge.errors import Unable
from warpforge.model.atoms import WareId

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.fsx.tree import Entry

MOST_COPIED: Final = 64 << 20  # bytes of files
_READ_BY_ALL: Final = 0o004


class ImageConfig(NamedTuple):
    """The part of an image's config that tells how to start it; the OCI image specification has the form."""

    env: Mapping[str, str] = MappingProxyType({})
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    stop_signal: str = ""

    @property
    def signal(self) -> int:
        """What asks the command to end."""
        import signal

        name = self.stop_signal.upper()
        if name.isdigit():
            return int(name)
        return getattr(signal, name if name.startswith("SIG") else f"SIG{name}", signal.SIGTERM).value


class Owned(NamedTuple):
    """A file of an image that is not uid 0's. ``size``: -1 for what is no file; ``is_open``: all may read it."""

    path: bytes
    uid: int
    gid: int
    size: int = -1
    is_open: bool = False


class Image(NamedTuple):
    """A ware ready to be a container's root: its tree on the shelf, its config, and whose its files are."""

    ware: WareId
    tree: Path
    config: ImageConfig
    owned: tuple[Owned, ...]


def open_image(engine: Engine, ware: WareId) -> Image:
    """Bring an image's tree within reach. The caller uses the store. Errors: as ``Supply.tree``; ``store``."""
    tree = engine.supply.tree(ware)
    kept = engine.store.images.find(ware)
    if kept is None:
        raise Unable(
            "store",
            f"what the image {ware} says of its command is not here; fetch it again: warpforge ware fetch {ware}",
            reason="missing",
        )
    return Image(ware, tree, parse_config(kept.config), choose_owned(list_owned(engine, ware)))


def parse_config(data: bytes) -> ImageConfig:
    """The config of an image, as far as it makes sense."""
    try:
        said: Any = json.loads(data).get("config") or {}
    except (ValueError, AttributeError):
        return ImageConfig()
    env = dict(word.partition("=")[::2] for word in _words(said.get("Env")) if "=" in word)
    return ImageConfig(
        env=env,
        entrypoint=_words(said.get("Entrypoint")),
        cmd=_words(said.get("Cmd")),
        user=str(said.get("User") or ""),
        workdir=str(said.get("WorkingDir") or "/"),
        stop_signal=str(said.get("StopSignal") or ""),
    )


def _words(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def list_owned(engine: Engine, ware: WareId) -> list[Owned]:
    """What is not uid 0's. Read from the packed ware once, then from a note beside the store's others."""
    from warpforge.fsx.atomic import make_dirs, write_atomic

    note = engine.store.internal / "polytope" / "owners" / f"{ware.packtype}-{ware.hash}.v2.json"
    try:
        return [Owned(os.fsencode(path), *rest) for path, *rest in json.loads(note.read_bytes())]
    except (OSError, ValueError, TypeError):
        pass
    found = _read_owned(engine, ware)
    make_dirs(str(note.parent), 0o755, sync=False)
    text = json.dumps([[os.fsdecode(owned.path), *owned[1:]] for owned in found])
    write_atomic(str(note), text.encode("utf-8", "surrogateescape"), staging=engine.store.staging.directory())
    return found


def _read_owned(engine: Engine, ware: WareId) -> list[Owned]:
    return [
        Owned(entry.path, entry.uid, entry.gid, entry.size if entry.kind == "f" else -1, is_open=is_open(entry))
        for entry in read_entries(engine, ware)
        if entry.uid or entry.gid
    ]


def is_open(entry: Entry) -> bool:
    """Whether all may read it."""
    return bool(entry.mode & _READ_BY_ALL)


def read_entries(engine: Engine, ware: WareId) -> Iterator[Entry]:
    """Those of a packed ware, without what files hold."""
    from warpforge.pack.lazy import Lazy

    at_rest, _ = engine.supply.at_rest(ware)
    with engine.supply.packed(ware) as packed:
        yield from Lazy(packed, at_rest, engine.supply.limits_of(ware)).entries()


def choose_owned(owned: Sequence[Owned]) -> tuple[Owned, ...]:
    """What is given to its owner when a box begins, which copies files. Where that were much, files that everybody may
    read stay uid 0's: their owner may replace them still, for the directories are given."""
    if sum(one.size for one in owned if one.size > 0) > MOST_COPIED:
        return tuple(one for one in owned if one.size < 0 or not one.is_open)
    return tuple(owned)
