"""``zip``: the original's packtype for zips; ids as for ``tar``. At rest a zip ware is a tarball of ours, or the zip
itself as a mirror gave it: told apart by how they begin.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from warpforge.errors import store_error

from .decode import is_zstd
from .sha384 import SHA384
from .tarball import Tarball, open_tarball
from .zip_members import ZipReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from .decode import Packed
    from .limits import Limits
    from .members import Member


@contextmanager
def open_zip(packed: Packed, limits: Limits, canonical: bool, /) -> Iterator[Iterable[Member]]:  # noqa: FBT001
    """The members of a zip, or of a zstd tarball."""
    if is_zstd(packed.peek(4)):
        with open_tarball(packed, limits, canonical) as members:
            yield members
        return
    if _is_whole_file(packed):
        while packed.some():
            pass
        yield ZipReader(packed.source, packed.size, limits, canonical=canonical)
        return
    with _spool(packed, limits) as file:
        yield ZipReader(file, packed.size, limits, canonical=canonical)


def _is_whole_file(packed: Packed) -> bool:
    """Whether the source can be read in any order, and was at its beginning."""
    return packed.source.seekable() and packed.source.tell() == packed.size


@contextmanager
def _spool(packed: Packed, limits: Limits) -> Iterator[BinaryIO]:
    """All that comes as a stream, in a temporary file. Errors: ``ware-limit``, ``store``."""
    import tempfile

    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.TemporaryFile())
            while piece := packed.some():
                limits.check_size(packed.size)
                file.write(piece)
            file.flush()
        except OSError as error:
            raise store_error(error, "a zip that comes as a stream could not be kept") from error
        yield file


PACKER: Final = Tarball("zip", SHA384, canonical=False, opening=open_zip)
