"""What an image says besides its tree: its manifest and its config, as they came, for whoever starts what is in it.

One small JSON file an ``oci`` ware: ``{"image.v1": {"manifest": TEXT, "config": TEXT}}``. Its id is the hash of the
manifest, which names that of the config, so whatever is read is known to be right; what is lost comes again with the
image.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from typing import NamedTuple

from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.model.atoms import WareId

from .finding import storing
from .layout import Layout
from .staging import Staging


class KeptImage(NamedTuple):
    """The manifest and the config of an image, byte for byte."""

    manifest: bytes
    config: bytes

    def is_of(self, ware: WareId) -> bool:
        """Whether these are the ware's own."""
        if hashlib.sha256(self.manifest).hexdigest() != ware.hash:
            return False
        with suppress(ValueError, LookupError, TypeError):
            digest = json.loads(self.manifest)["config"]["digest"]
            return bool(digest == f"sha256:{hashlib.sha256(self.config).hexdigest()}")
        return False


class Images:
    """The images of a store."""

    def __init__(self, layout: Layout, staging: Staging) -> None:
        self._layout = layout
        self._staging = staging

    def record(self, ware: WareId, kept: KeptImage) -> None:
        """Keep what an image says, if it is not kept. Errors: ``store``."""
        if self.find(ware) is not None:
            return
        goal = self._layout.image(ware)
        text = json.dumps({"image.v1": {"manifest": kept.manifest.decode(), "config": kept.config.decode()}})
        with storing(f"cannot keep what the image {ware} says"):
            make_dirs(os.path.dirname(goal))
            write_atomic(goal, f"{text}\n".encode("ascii"), staging=self._staging.directory())

    def find(self, ware: WareId) -> KeptImage | None:
        """What an image says; None when it is not known here, or what is here is not right."""
        path = self._layout.image(ware)
        try:
            with open(path, "rb") as file:
                text = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            with storing(f"cannot read what the image {ware} says"):
                raise error
        try:
            found = json.loads(text)["image.v1"]
            kept = KeptImage(found["manifest"].encode(), found["config"].encode())
        except (ValueError, LookupError, TypeError, AttributeError):
            return None
        return kept if kept.is_of(ware) else None
