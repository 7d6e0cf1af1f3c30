"""``tar``: the original's packtype. Its ids do not cover symlinks; any tar is read, in any order."""

from __future__ import annotations

from typing import Final

from .sha384 import SHA384
from .tarball import Tarball

PACKER: Final = Tarball("tar", SHA384, canonical=False)
