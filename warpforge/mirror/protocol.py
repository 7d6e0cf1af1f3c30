"""What every mirror can do, and the address behind which each kind stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, runtime_checkable

from warpforge.errors import Unable
from warpforge.model.atoms import WarehouseAddr, WareId

from .policy import DEFAULT, Access

if TYPE_CHECKING:
    from .download import Mark

Moved = Callable[[int, int | None], None]  # bytes so far, and of how many, if that is known

REGISTRIES: Final = ("oci", "oci+https", "oci+http")
SCHEMES: Final = ("file", "http", "https", "s3", "oci")


class Mirror(Protocol):
    """A place that holds packed wares, of any packtype."""

    def open(self, ware: WareId) -> BinaryIO:
        """The packed ware as a stream. Errors, also of its reads: ``fetch`` (not-found, net, short, size, policy)."""

    def has(self, ware: WareId) -> bool:
        """Whether the ware is there, unread. Errors: ``fetch``."""

    def push(self, ware: WareId, source: BinaryIO) -> None:
        """Keep a packed ware there, whole or not at all. Errors: ``fetch`` (reason policy, net), ``store``."""


@runtime_checkable
class Resuming(Mirror, Protocol):
    """A mirror that can go on where an earlier download broke off."""

    def open_from(self, ware: WareId, mark: Mark | None) -> BinaryIO:
        """As ``open``, the stream from the mark on; from its start when that is another version now (``begin_of``)."""


class Upstream(Protocol):
    """A place that holds what the wares of one packtype are made of, and no packed wares.

    How it gives that is an affair of the packtype: a repository is brought into a directory, an image comes in parts.
    """

    @property
    def name(self) -> str:
        """The address, fit for messages."""

    def has(self, ware: WareId) -> bool:
        """Whether it is there, unread. Errors: ``fetch``."""


def find_upstream(address: WarehouseAddr, packtype: str, access: Access = DEFAULT) -> Upstream | None:
    """What an address is for the wares of a packtype; None: a mirror of packed wares, see ``connect``.

    Nothing is opened yet. Errors: ``fetch`` (offline), and those of the packtype for an address that is not followed.
    """
    _check_offline(address, access)
    packed = address.is_content_addressed or address.scheme == "s3" or address in access.pushes
    if packtype == "git" and not packed:
        from .git import GitRemote

        return GitRemote.of(address, access)
    if packtype == "oci" and address.scheme in REGISTRIES:
        from .oci import OciMirror

        return OciMirror(address, access)
    return None


def connect(address: WarehouseAddr, access: Access = DEFAULT) -> Mirror:
    """The mirror behind an address; nothing is opened yet. Errors: ``fetch`` (policy, offline)."""
    _check_offline(address, access)
    push = access.pushes.get(address)
    if address.scheme == "s3" or (push is not None and push.kind == "s3"):
        from .s3 import S3Mirror

        return S3Mirror(address, access)
    if address.scheme == "file":
        from .file import FileMirror

        return FileMirror(address)
    if address.scheme in ("http", "https"):
        from .http import HttpMirror

        return HttpMirror(address, access)
    if address.scheme in REGISTRIES:
        from .oci import OciMirror

        return OciMirror(address, access)
    raise Unable(
        "fetch",
        f"{shown(address)}: there are no mirrors of this kind; an address is {', '.join(f'{s}://' for s in SCHEMES)}, "
        "or ca+ and one of these",
        reason="policy",
        address=shown(address),
    )


def _check_offline(address: WarehouseAddr, access: Access) -> None:
    if access.offline and not address.url.removeprefix("git+").startswith("file:"):
        raise Unable(
            "fetch", f"{shown(address)}: not asked, for this is offline", reason="offline", address=shown(address)
        )


def ca_path(ware: WareId) -> str:
    """Where a content-addressed mirror keeps a ware: tar as the original does, other packtypes below their name."""
    flat = _flat(ware)
    return flat if ware.packtype == "tar" else f"{ware.packtype}/{flat}"


def ca_paths(ware: WareId) -> list[str]:
    """Where a ware may be found on a content-addressed mirror: our place, then the original's, which is flat."""
    return [*dict.fromkeys((ca_path(ware), _flat(ware)))]


def shown(address: str) -> str:
    """An address fit for messages: without user and password, and without what follows "?" (it may be signed)."""
    text, mark, _ = address.partition("?")
    scheme, slashes, rest = text.partition("://")
    if slashes:
        authority, slash, path = rest.partition("/")
        text = f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
    return text + ("?..." if mark else "")


def _flat(ware: WareId) -> str:
    hash_ = ware.hash
    return f"{hash_[:3]}/{hash_[3:6]}/{hash_}" if len(hash_) > 6 else f"-/-/{hash_}"
