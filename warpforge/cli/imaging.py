"""Images that a person names on the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from warpforge.cli.app import Common, refuse_argument
from warpforge.cli.moving import Moving, moving
from warpforge.engine.images import Called, Images, is_called, parse_called
from warpforge.engine.naming import is_reference
from warpforge.errors import Failed
from warpforge.model.atoms import WareId


@contextmanager
def _images(common: Common, text: str, platform: str) -> Iterator[tuple[Moving, Images, Called]]:
    with moving(common) as moves:
        yield moves, moves.engine.images, parse_called(text, common.settings.cwd, platform, files=True)


def keep_image(common: Common, text: str, platform: str = "") -> tuple[WareId, bool]:
    """Bring an image into the warehouse; gives its ware, and whether it was here. Errors: as ``Images.keep``."""
    with _images(common, text, platform) as (_, images, called):
        return images.keep(called)


def scan_image(common: Common, text: str, platform: str, filters: str) -> WareId:
    """The ware that an image is, all of it read; nothing is kept. Errors: as ``Images.keep``."""
    if filters:
        refuse_argument("the id of an image is that of its manifest: there is nothing to filter")
    with _images(common, text, platform) as (_, images, called):
        return images.scan(called)


def is_image(text: str, address: str | None) -> bool:
    """Whether an image is meant: by its own name, or as the place of an ``oci`` ware."""
    if address is None:
        return os.path.exists(text) or (is_called(text) and not is_reference(text))
    return text.startswith("oci:") and ("://" not in address or address.startswith("docker://"))


def fetch_image(common: Common, text: str, address: str | None, platform: str) -> None:
    """Bring an image, perhaps one whose id is said, and say so. Errors: ``ware-mismatch``, and as ``keep_image``."""
    from warpforge.engine.transfer import FETCHED, HERE

    expect = None if address is None else WareId.parse(text)
    with _images(common, address or text, platform) as (moves, images, called):
        if expect is not None and (found := images.name(called)) != expect:
            raise Failed(
                "ware-mismatch",
                f"{address} is {found}, not {expect}",
                reason="hash",
                expected=expect,
                actual=found,
            )
        ware, here = images.keep(called)
        moves.say(ware, HERE if here else FETCHED, "" if here else address or text)
