"""``ztar``: our own packtype. Its ids cover every node; it is read in its one canonical form only."""

from __future__ import annotations

from typing import Final

from .fileset import BLAKE3
from .tarball import Tarball

PACKER: Final = Tarball("ztar", BLAKE3, canonical=True)
