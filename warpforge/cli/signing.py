"""Signing and verifying files, as every command does it: ``--sign KEY``, ``--key KEY``, ``--threshold K``."""

from __future__ import annotations

from typing import Final

import click

from warpforge.cli.app import refuse_argument

KEYS: Final = click.option(
    "--key", "trusted", multiple=True, metavar="KEY", help="--verify: whose signature counts; may be repeated."
)
THRESHOLD: Final = click.option(
    "--threshold",
    type=click.IntRange(min=1),
    default=1,
    metavar="K",
    help="--verify: so many of the keys must have signed; default: 1.",
)


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
    path: str, payload_type: str, trusted: tuple[str, ...], threshold: int, *, unsigned: bool = False
) -> tuple[bytes, list[str]]:
    """What a file holds, and the ids of the keys that signed it, of those that count.

    ``unsigned``: the bare payload is taken, too. Errors: ``missing``, ``signature-invalid``, ``key-invalid``.
    """
    from warpforge.catalog.envelope import load_envelope
    from warpforge.catalog.keys import any_public
    from warpforge.cli.files import read_document

    data = read_document(path)
    if unsigned and not trusted:
        return (load_envelope(data, path).payload if b'"payloadType"' in data else data), []
    if not trusted:
        refuse_argument("whose signature counts? Name keys with --key (a file, or ed25519:...)")
    keys = [any_public(key) for key in trusted]
    envelope = load_envelope(data, path)
    payload = envelope.verify(keys, threshold, payload_type)
    return payload, sorted(key.id for key in envelope.signers(keys))
