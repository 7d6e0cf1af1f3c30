"""The atoms of every document: ids, addresses, references, ports and filters, and how each is spelled.

A value of one of these types in hand is valid; ``parse`` raises ValueError subclasses (the code says which).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from warpforge.errors import Invalid

_PACKTYPE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]*\Z")
_HASH: Final = re.compile(r"[A-Za-z0-9._-]{1,128}\Z")


class WareId(NamedTuple):
    """The name of a file tree: how it is packed, and its hash, kept verbatim."""

    packtype: str
    hash: str

    def __str__(self) -> str:
        return f"{self.packtype}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> WareId:
        """``packtype:hash``. Errors: ``wareid-invalid``."""
        packtype, _, hash_ = text.partition(":")
        if not _PACKTYPE.match(packtype) or not _HASH.match(hash_):
            raise Invalid("wareid-invalid", f"not a WareId: {text!r}; one looks like tar:4z9DC...", wareId=text)
        return cls(packtype, hash_)


class CatalogRef(NamedTuple):
    """A name that people can say: ``module:release:item``."""

    module: str
    release: str
    item: str

    def __str__(self) -> str:
        return f"{self.module}:{self.release}:{self.item}"
