"""Running real boxes in tests: as root and as an ordinary user, with results as plain values."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from support.people import Person
from support.rootfs import give_tree, make_rootfs
from warpforge.errors import WarpforgeError
from warpforge.sandbox.bwrap import Bwrap
from warpforge.sandbox.owner import BUILD_UID
from warpforge.sandbox.protocol import Entries
from warpforge.sandbox.runc import Runc
from warpforge.sandbox.spec import Mount, Outcome, make_mount, make_spec

BACKENDS: dict[str, type[Bwrap] | type[Runc]] = {"bwrap": Bwrap, "runc": Runc}


@dataclass(frozen=True)
class Node:
    """One entry of a gathered tree."""

    path: str
    kind: str
    mode: int
    uid: int
    mtime: int
    content: bytes = b""
    link: bytes = b""


@dataclass
class Result:
    """An outcome with what came out beside it."""

    outcome: Outcome
    out: str = ""
    err: str = ""
    trees: dict[int, list[Node]] = field(default_factory=dict)

    def names(self, index: int = 0) -> list[str]:
        """Paths of one gathered tree."""
        return [node.path for node in self.trees[index]]

    def content(self, path: str, index: int = 0) -> bytes:
        """Content of one file of a gathered tree."""
        return next(node.content for node in self.trees[index] if node.path == path)


def run_box(tmp: str, mounts: list[Mount], command: list[str], options: Mapping[str, Any]) -> Result:
    """Run one box in this process, as whoever it is."""
    options = dict(options)
    box = BACKENDS[options.pop("backend", "bwrap")](
        overlay=options.pop("overlay", True), cgroups=options.pop("cgroups", True)
    )
    result = Result(outcome=None)  # type: ignore[arg-type]
    said: dict[str, list[bytes]] = {"out": [], "err": []}

    def gather(index: int, entries: Entries) -> None:
        result.trees[index] = list(_read(entries))

    options.setdefault("deadline", 60.0)
    spec = make_spec(mounts=mounts, argv=command, **options)
    result.outcome = box.run(spec, tmp, on_output=lambda name, data: said[name].append(data), on_gather=gather)
    result.out, result.err = (b"".join(said[name]).decode("utf-8", "backslashreplace") for name in ("out", "err"))
    return result


def _read(entries: Entries) -> Iterator[Node]:
    for entry, content in entries:
        data = b""
        while content is not None and (piece := content.read(1 << 16)):
            data += piece
        yield Node(os.fsdecode(entry.path), entry.kind, entry.mode, entry.uid, entry.mtime, data, entry.link)


class Yard:
    """A place to run boxes in, for one person: a tmp for work directories, and shelf trees with the right owner."""

    def __init__(self, person: Person, root: Path | None = None, backend: str = "bwrap") -> None:
        """``root`` is a busybox tree to share with other yards: read only; ``own_root`` makes one to change."""
        self.person = person
        self.backend = backend
        # root's lies below a directory that only root can pass, as a workspace in /root would
        self.path = Path(tempfile.mkdtemp(prefix="yard-"))
        self.path.chmod(0o700 if person.uid == 0 else 0o755)
        self.tmp = self.path / "tmp"
        self.tmp.mkdir()
        os.chown(self.tmp, person.uid, person.uid)
        self.root = root or self.own_root()

    def own_root(self) -> Path:
        """A busybox root for this yard alone."""
        self.root = self.shelve(make_rootfs(self.path / "root"))
        return self.root

    @property
    def box_uid(self) -> int:
        """The real uid behind the box's uid 0."""
        return BUILD_UID if self.person.uid == 0 else self.person.uid

    def shelve(self, tree: Path) -> Path:
        """Give a tree to whom the shelf belongs."""
        if os.geteuid() == 0:
            give_tree(tree, self.box_uid, self.box_uid)
        return tree

    def tree(self, name: str, files: Mapping[str, str | bytes]) -> Path:
        """A shelf tree of these files (a name that ends in / is a directory)."""
        path = self.path / name
        path.mkdir()
        for at, content in files.items():
            target = path / at.rstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if at.endswith("/"):
                target.mkdir()
            else:
                target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.shelve(path)

    def host_directory(self, name: str, files: Mapping[str, str | bytes]) -> Path:
        """A directory of the caller's."""
        path = self.tree(name, files)
        if os.geteuid() == 0:
            give_tree(path, self.person.uid, self.person.uid)
        return path

    def sh(self, script: str, *mounts: Mount, **options: Any) -> Result:
        """Run a shell script on the busybox root."""
        return self.run(["/bin/sh", "-c", script], make_mount("/", "overlay", self.root), *mounts, **options)

    def run(self, command: list[str], *mounts: Mount, **options: Any) -> Result:
        """Run a command with exactly these mounts."""
        return self.person.call(run_box, str(self.tmp), list(mounts), command, {"backend": self.backend, **options})

    def leftovers(self) -> list[str]:
        """What lies in tmp."""
        return os.listdir(self.tmp)

    def close(self) -> None:
        """Away with it."""
        shutil.rmtree(self.path)


def hold_box(tmp: str, root: str, script: str, backend: str = "bwrap", pids: int = 0) -> None:
    """What an engine does in a process of its own: run one box, print "started" when it speaks, then how it ended."""
    spec = make_spec(mounts=[make_mount("/", "overlay", root)], argv=["/bin/sh", "-c", script], gathers=["/out"])
    spec = msgspec.structs.replace(spec, pids_limit=pids)
    try:
        outcome = BACKENDS[backend]().run(spec, tmp, on_output=lambda _, data: print(data.decode(), end="", flush=True))
        print("outcome", outcome.exit_code, outcome.stopped, flush=True)
    except WarpforgeError as error:
        print("error", error.code, error.reason, flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
