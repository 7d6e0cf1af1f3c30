"""``warpforge catalog hazard``: say that nobody should use a release."""

from __future__ import annotations

import click
import msgspec

from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument
from warpforge.cli.catalogs import NAME, chosen_catalog, here, mind_signature
from warpforge.errors import Missing
from warpforge.model.catalog import HAZARD
from warpforge.model.names import parse_module_name


@click.command(cls=Command, name="hazard")
@click.argument("release", metavar="MODULE:RELEASE")
@click.argument("text", required=False, metavar="[WHY]")
@click.option("--clear", is_flag=True, help="It is none any more.")
@NAME
@click.pass_context
@pass_common
def hazard(
    common: Common, context: click.Context, release: str, text: str | None, *, clear: bool, name: str | None
) -> None:
    """Mark a release as hazardous: whoever uses it is told WHY, and refused unless it is allowed by name.

    Its wares stay what they are. The release gets another id, so a signed catalog is to be signed again.
    """
    from warpforge.catalog.edit import edit

    module, _, label = release.partition(":")
    if not label or ":" in label or bool(text) == clear:
        refuse_argument("say MODULE:RELEASE and why, or MODULE:RELEASE --clear")
    catalog = chosen_catalog(context, here(common), name, make=False)
    with edit(catalog, parse_module_name(module)) as changed:
        known = changed.release(label)
        if known is None:
            raise Missing("catalog-missing-entry", f"the catalog {catalog.name} has no {release}", catalogRef=release)
        metadata = {key: value for key, value in known.metadata.items() if key != HAZARD}
        changed.put_release(msgspec.structs.replace(known, metadata={**metadata, **({HAZARD: text} if text else {})}))
    mind_signature(common, catalog)
    common.note(printable(f"{release} is marked as hazardous: {text}" if text else f"{release} is no hazard any more"))
