"""The original's flavour of the tree hash, apart from the other: its hash function is long in loading."""

from __future__ import annotations

import hashlib
from typing import Final

from .fileset import Flavour

SHA384: Final = Flavour(hashlib.sha384, 48, covers_all=False)
