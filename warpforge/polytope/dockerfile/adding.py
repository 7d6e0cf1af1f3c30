"""ADD: archives of the context unpacked, and files and repositories from elsewhere, which are pinned.

What comes from elsewhere must be the same in every build: a checksum says what it is, or ``polytope.lock`` does, into
which the first build writes what it found.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from warpforge.errors import Failed, Invalid, WarpforgeError
from warpforge.model.atoms import WarehouseAddr, WareId
from warpforge.polytope.containers.checkouts import Checkouts
from warpforge.polytope.dockerfile.context import Files, Node
from warpforge.polytope.dockerfile.copy import Copying, list_copied

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.polytope.dockerfile.trees import Trees

_SHA256: Final = re.compile(r"sha256:[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_GIT_SCHEMES: Final = ("git", "ssh", "git+https", "git+http", "git+file", "file")
_BLOCK: Final = 512
_PIECE: Final = 1 << 20
_HEADER_SUM: Final = slice(148, 156)


class Pins(NamedTuple):
    """``find``: what an address was found to be (``sha256:...``, ``git:COMMIT``); ``put``: it is that from now on."""

    find: Callable[[str], str | None]
    put: Callable[[str, str], None]


NO_PINS: Final = Pins(lambda address: None, lambda address, what: None)


class Adder:
    """Those of one build."""

    def __init__(self, engine: Engine, trees: Trees, pins: Pins) -> None:
        self._engine = engine
        self._trees = trees
        self._pins = pins

    def list_added(
        self, files: Files, base: Files, copying: Copying, *, checksum: str, unpack: bool | None
    ) -> dict[str, Node]:
        """The nodes to lay over ``base``. ``unpack``: None for archives of the context alone.

        Errors: as ``list_copied``; ``fetch``, ``git``, ``ware-mismatch``, ``invalid``, and those of archives.
        """
        added: dict[str, Node] = {}
        plain: list[str] = []
        for source in copying.sources:
            if is_git(source):
                tree, inside = self._repository(source, checksum)
                added.update(self._spread(tree, inside, base, copying))
            elif is_address(source):
                node = self._trees.tree(self._fetched(source, checksum)).nodes[""]
                if unpack and is_archive(node):
                    added.update(self._spread(self._unpacked(node), "", base, copying))
                else:
                    name = posixpath.basename(urlsplit(source).path)
                    if not name:
                        raise Invalid("invalid", f"ADD {source}: it names no file", address=source)
                    one = copying._replace(sources=[name])
                    added.update(list_copied(Files({"": Node("d", 0o755), name: node}, source), base, one))
            else:
                for path in files.find(source):
                    node = files.nodes[path]
                    if unpack is not False and node.kind == "f" and is_archive(node):
                        added.update(self._spread(self._unpacked(node), "", base, copying))
                    else:
                        plain.append(path)
        if plain:
            added.update(list_copied(files, base, copying._replace(sources=plain)))
        return added

    def look(self, address: str) -> str:
        """What an address is now (as ``Pins`` have it), whatever it was found to be before; it is here from then on.

        Errors: ``fetch``, ``git``, ``store``.
        """
        if is_git(address):
            repository, _, fragment = address.partition("#")
            return f"git:{self._commit(repository, fragment.partition(':')[0]).hash}"
        found, ware = self._fetch(address, "")
        self._engine.store.index.ingest_put(f"add {found}", b"1", ware)
        return found

    def _spread(self, tree: Files, inside: str, base: Files, copying: Copying) -> dict[str, Node]:
        """What is in a tree, in the directory that is the goal."""
        one = copying._replace(sources=[inside or "/"], goal=copying.goal.rstrip("/") + "/", keeps_parents=False)
        return list_copied(tree, base, one)

    def _unpacked(self, node: Node) -> Files:
        from warpforge.engine.keep import keep_archive

        with node.open() as stream:
            ware = keep_archive(self._engine.store, stream, "tar", limits=self._engine.limits)
        return self._trees.tree(ware, "the archive")

    def _fetched(self, address: str, checksum: str) -> WareId:
        """The ware of a file at an address; what is here is not fetched again."""
        if checksum and not _SHA256.fullmatch(checksum):
            raise Invalid("invalid", f"ADD --checksum={checksum}: sha256: and 64 hex digits were expected")
        wanted = checksum or self._pins.find(address) or ""
        index = self._engine.store.index
        if wanted:
            known = index.ingest_get(f"add {wanted}", b"1")
            if known is not None and self._engine.store.has(known):
                return known
        found, ware = self._fetch(address, wanted)
        if not wanted:
            self._pins.put(address, found)
        index.ingest_put(f"add {found}", b"1", ware)
        return ware

    def _fetch(self, address: str, wanted: str) -> tuple[str, WareId]:
        from warpforge.mirror.protocol import connect

        mirror = connect(WarehouseAddr.parse(address), self._engine.reach.access)
        limit = self._engine.limits
        with tempfile.NamedTemporaryFile(dir=self._engine.store.staging.directory()) as file:
            hasher, size = hashlib.sha256(), 0
            with self._engine.store.away(), mirror.open(WareId("file", "-")) as stream:
                while piece := stream.read(_PIECE):
                    hasher.update(piece)
                    size += len(piece)
                    limit.check_size(size)
                    file.write(piece)
            file.flush()
            found = f"sha256:{hasher.hexdigest()}"
            if wanted and found != wanted:
                raise Failed(
                    "ware-mismatch",
                    f"{address} is {found}, not {wanted}: it has changed; if that is right, say its new checksum, or "
                    f"`pt lock --update {address}` (polytope.lock)",
                    reason="hash",
                    expected=wanted,
                    actual=found,
                )
            return found, self._trees.keep_file(Node("f", 0o600, file.name))

    def _repository(self, source: str, checksum: str) -> tuple[Files, str]:
        """The tree of a commit, and where in it."""
        address, _, fragment = source.partition("#")
        revision, _, inside = fragment.partition(":")
        pinned = self._pins.find(source) if not _COMMIT.fullmatch(revision) else None
        commit = (pinned or "").removeprefix("git:") or revision
        try:
            ware = self._commit(address, commit)
        except WarpforgeError as error:
            error.details.setdefault("address", address)
            raise
        if checksum and not ware.hash.startswith(checksum):
            raise Failed(
                "ware-mismatch",
                f"{source} is the commit {ware.hash}, not {checksum}",
                reason="hash",
                expected=checksum,
                actual=ware.hash,
            )
        if not pinned and not checksum and not _COMMIT.fullmatch(revision):
            self._pins.put(source, f"git:{ware.hash}")
        return self._trees.tree(ware, source), inside

    def _commit(self, address: str, revision: str) -> WareId:
        known = WareId("git", revision) if _COMMIT.fullmatch(revision) else None
        if known is not None and self._engine.store.has(known):
            return known
        found = Checkouts(lambda repo: None, lambda: self._engine).locate(address, revision)
        assert found.ware is not None
        return found.ware


def is_address(source: str) -> bool:
    """Whether a source is one of the web."""
    return source.startswith(("http://", "https://"))


def is_git(source: str) -> bool:
    """Whether a source is a repository's address, as Docker tells one from a file's."""
    address = source.partition("#")[0]
    scheme = address.partition("://")[0] if "://" in address else ""
    if scheme in ("http", "https"):
        return address.endswith(".git")
    return source.startswith("git@") or scheme in _GIT_SCHEMES


def is_archive(node: Node) -> bool:
    """Whether a file is a tar, packed by gzip, bzip2, xz or zstd or not at all; its content alone tells."""
    from warpforge.pack.decode import Packed, decode
    from warpforge.pack.limits import DEFAULT

    block = b""
    try:
        with node.open() as stream:
            for piece in decode(Packed(stream), DEFAULT, skippable=True):
                block += piece
                if len(block) >= _BLOCK:
                    break
    except WarpforgeError:
        return False
    block = block[:_BLOCK]
    said = block[_HEADER_SUM].strip(b" \0")
    if len(block) < _BLOCK or not said or set(said) - set(b"01234567"):
        return False
    return int(said, 8) == sum(block) - sum(block[_HEADER_SUM]) + 8 * 32
