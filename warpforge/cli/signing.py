"""Signing and verifying files, as every command does it: ``--sign KEY``, and who counts for ``--verify``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from warpforge.cli.app import Common, refuse_argument
from warpforge.errors import Missing

if TYPE_CHECKING:
    from warpforge.catalog.keys import PublicKey


class Believed(NamedTuple):
    """Whose signature counts: ``keys`` as they were named, or those that ``catalog`` is trusted by here.

    ``threshold``: so many must have signed; None for one, or as many as that catalog needs.
    """

    keys: tuple[str, ...] = ()
    catalog: str | None = None
    threshold: int | None = None

    def __bool__(self) -> bool:
        return bool(self.keys or self.catalog)

    def resolve(self, common: Common) -> tuple[list[PublicKey], int]:
        """The keys, and how many of them. Errors: ``missing``, ``key-invalid``."""
        from warpforge.catalog.keys import any_public

        found = [any_public(key) for key in self.keys]
        if self.catalog is None:
            return found, self.threshold or 1
        from warpforge.cli.catalogs import here
        from warpforge.engine.catalogs import trusts

        trust = trusts(here(common).root).get(self.catalog)
        if trust is None and self.rebuilders(common):
            return found, self.threshold or 1
        if trust is None:
            raise Missing(
                "missing", f"the catalog {self.catalog} is trusted by no keys here: see `warpforge catalog trust`"
            )
        return [*trust.public_keys(), *found], self.threshold or trust.threshold

    def rebuilders(self, common: Common) -> dict[PublicKey, str]:
        """Keys of rebuilders of that catalog that are not its own, each with whose it is. Errors: ``key-invalid``..."""
        from warpforge.catalog.rebuilders import FILE, NOBODY, load_rebuilders, names_of
        from warpforge.cli.catalogs import here
        from warpforge.engine.catalogs import trusts

        root, catalog = here(common).root, self.catalog or ""
        own = trusts(root)[catalog].keys if catalog in trusts(root) else ()
        found = names_of(load_rebuilders(root.config(FILE)).get(catalog, NOBODY))
        return {key: name for key, name in found.items() if str(key) not in own}


def believing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that verifies; it is called with ``believed``."""
    options = [
        click.option("--key", "key_names", multiple=True, metavar="KEY", help="--verify: whose signature counts."),
        click.option("--trusted", metavar="CATALOG", help="--verify: the keys that this catalog is trusted by here."),
        click.option(
            "--threshold", type=click.IntRange(min=1), metavar="K", help="--verify: how many of them must have signed."
        ),
    ]

    def call(*args: Any, key_names: tuple[str, ...], trusted: str | None, threshold: int | None, **named: Any) -> Any:
        return command(*args, believed=Believed(key_names, trusted, threshold), **named)

    call.__doc__ = command.__doc__
    call.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(options):
        call = option(call)
    return call


def sign(keys: tuple[str, ...], payload_type: str, payload: bytes) -> tuple[bytes, list[str]]:
    """An envelope's file, signed with the private keys in files, and the keys' ids.

    Errors: ``key-invalid``, ``missing``, ``sign-missing``.
    """
    from warpforge.catalog.envelope import Envelope, dump_envelope
    from warpforge.catalog.keys import load_private

    envelope = Envelope(payload_type, payload)
    for key in keys:
        envelope = envelope.signed(load_private(key))
    return dump_envelope(envelope), [one.keyid for one in envelope.signatures]


def verified(
    common: Common,
    path: str,
    payload_type: str,
    believed: Believed,
    *,
    unsigned: bool = False,
    rebuilders: bool = False,
) -> tuple[bytes, list[str]]:
    """What a file holds, and the ids of the keys that signed it, of those that count.

    ``unsigned``: the bare payload is taken, too, when nobody is believed. ``rebuilders``: the word of one who is
    trusted for the catalog is enough. Errors: ``missing``, ``signature-invalid``, ``key-invalid``.
    """
    from warpforge.catalog.envelope import load_envelope
    from warpforge.cli.files import read_document

    data = read_document(path)
    if unsigned and not believed:
        return (load_envelope(data, path).payload if b'"payloadType"' in data else data), []
    if not believed:
        refuse_argument("whose signature counts? Name keys with --key (a file, or ed25519:...), or --trusted CATALOG")
    keys, threshold = believed.resolve(common)
    envelope = load_envelope(data, path)
    more = believed.rebuilders(common) if rebuilders and believed.threshold is None else {}
    if envelope.payload_type == payload_type and (by := envelope.signers(more)):
        return envelope.payload, sorted(f"{key.id} ({more[key]})" for key in by)
    payload = envelope.verify(keys, threshold, payload_type)
    return payload, sorted(key.id for key in envelope.signers(keys))
