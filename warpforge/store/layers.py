"""Layers of images as they came from registries: what several images share is brought once.

``layers/abc/def/<sha256>`` holds one blob, byte for byte. Nothing depends on it: what is lost or spoilt comes again.
Whoever brings a layer holds its lock; others wait, and find it here then. Garbage collection takes those that no image
which stays here is made of.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from warpforge.fsx.atomic import make_dirs

from .finding import storing
from .layout import Layout
from .staging import StagedFile, Staging

if TYPE_CHECKING:
    from .images import KeptImage

PREFIX: Final = "sha256:"
_PIECE: Final = 1 << 20

Bring = Callable[[], AbstractContextManager[BinaryIO]]


class Layers:
    """Those of a store. ``turn``: one at a time for a digest, however long it takes."""

    def __init__(self, layout: Layout, staging: Staging, turn: Callable[[str], AbstractContextManager[None]]) -> None:
        self._layout = layout
        self._staging = staging
        self._turn = turn

    @contextmanager
    def open(self, digest: str, bring: Bring) -> Iterator[BinaryIO]:
        """A layer from here, else as it is brought: then it is here once all of it was read and is right.

        Errors: ``store``, and those of ``bring``.
        """
        with self._turn(digest):
            here = self._find(digest)
            if here is not None:
                with here:
                    yield here
                return
            with bring() as stream, self._stage() as staged:
                taking = _Taking(stream, staged)
                yield cast("BinaryIO", taking)
                if taking.digest == digest:
                    self._commit(staged, digest)

    def path(self, digest: str) -> str:
        """Where it lies, if it is here."""
        return self._layout.layer(digest)

    def all(self) -> Iterator[tuple[str, str, int]]:
        """Every layer: its digest, path and size. Raises OSError."""
        for directory, _, names in os.walk(self._layout.layers):
            for name in names:
                with suppress(FileNotFoundError):
                    path = os.path.join(directory, name)
                    yield PREFIX + name, path, os.lstat(path).st_size

    def _find(self, digest: str) -> BinaryIO | None:
        """It is read whole before it is believed: what is wrong with it is told too late otherwise."""
        path = self._layout.layer(digest)
        try:
            file = open(path, "rb")
        except OSError:
            return None
        try:
            if PREFIX + hashlib.file_digest(file, "sha256").hexdigest() == digest:
                file.seek(0)
                os.utime(file.fileno())
                return file
        except OSError:
            pass
        file.close()
        with suppress(OSError):
            os.unlink(path)
        return None

    @contextmanager
    def _stage(self) -> Iterator[StagedFile]:
        staged = StagedFile(self._staging.new("layer"))
        try:
            yield staged
        finally:
            staged.close()
            with suppress(OSError):
                os.unlink(staged.path)

    def _commit(self, staged: StagedFile, digest: str) -> None:
        goal = self._layout.layer(digest)
        with storing(f"cannot keep the layer {digest}"):
            make_dirs(os.path.dirname(goal), sync=False)
            os.chmod(staged.path, 0o444)
            os.rename(staged.path, goal)


class _Taking:
    """A stream of which all that is read is kept."""

    def __init__(self, stream: BinaryIO, staged: StagedFile) -> None:
        self._stream = stream
        self._staged = staged
        self._hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        if data:
            self._hash.update(data)
            self._staged.write(data)
        return data

    @property
    def digest(self) -> str:
        return PREFIX + self._hash.hexdigest()


def layers_of(kept: Iterable[KeptImage]) -> set[str]:
    """The digests of the layers that images are made of."""
    found: set[str] = set()
    for image in kept:
        with suppress(ValueError, LookupError, TypeError):
            found.update(str(layer["digest"]) for layer in json.loads(image.manifest)["layers"])
    return found
