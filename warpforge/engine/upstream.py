"""From an upstream into the warehouse: what a mirror brought becomes a tree, as its packtype reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warpforge.errors import Unable
from warpforge.model.atoms import WareId

if TYPE_CHECKING:
    from warpforge.mirror.protocol import Moved, Upstream
    from warpforge.pack.limits import Limits
    from warpforge.store.store import Store


def keep_from(
    store: Store, ware: WareId, upstream: Upstream, moved: Moved, limits: Limits, *, unpacked: bool = False
) -> None:
    """Bring what a ware is made of, and keep its tree under the ware's id.

    ``unpacked``: on the shelf, too, where that costs less than to unpack it later. Errors: those of the packtype;
    ``store``.
    """
    if ware.packtype == "git":
        from warpforge.engine.commits import keep_commit
        from warpforge.mirror.git import GitRemote

        assert isinstance(upstream, GitRemote)
        keep_commit(store, ware, upstream, moved, limits)
        return
    if ware.packtype == "oci":
        from warpforge.engine.images import fetch_image
        from warpforge.mirror.oci import OciMirror

        assert isinstance(upstream, OciMirror)
        fetch_image(store, upstream, ware, limits, moved, unpacked=unpacked)
        return
    raise Unable("fetch", f"{upstream.name}: nobody here makes {ware.packtype} wares of it", reason="policy")
