"""Envelopes: signed bytes with their signatures, as DSSE (Dead Simple Signing Envelope, version 1.0.2) defines them.

What is signed is ``PAE(type, body)``: ``DSSEv1 LEN(type) type LEN(body) body``, lengths in decimal digits of bytes.
As JSON: ``{"payload": base64, "payloadType": type, "signatures": [{"keyid", "sig": base64}, ...]}``; any tool for DSSE
verifies it. Key ids are hints: a signature counts for the key that verifies it, and a key counts once.

Errors: ``signature-invalid`` (reason ``form``, ``type`` or ``threshold``), ``sign-missing``.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from warpforge.errors import Invalid
from warpforge.model.plaintext import read_plain
from warpforge.model.units import counted

if TYPE_CHECKING:
    from .keys import PrivateKey, PublicKey

MOST_SIGNATURES: Final = 64


class Signature(NamedTuple):
    """``keyid``: a hint, may be empty; ``sig``: the bytes."""

    keyid: str
    sig: bytes


class Envelope(NamedTuple):
    """``payload_type``: a media type that says what ``payload`` is."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...] = ()

    def signed(self, key: PrivateKey) -> Envelope:
        """With the signature of one more key; one that this key made before is replaced."""
        made = Signature(key.public.id, key.sign(pae(self.payload_type, self.payload)))
        others = tuple(one for one in self.signatures if one.keyid != made.keyid)
        return self._replace(signatures=(*others, made))

    def signers(self, keys: Collection[PublicKey]) -> set[PublicKey]:
        """Those of some keys whose holders signed this. Errors: ``sign-missing``."""
        data = pae(self.payload_type, self.payload)
        ids = {key.id: key for key in keys}
        found: set[PublicKey] = set()
        for one in self.signatures:
            hinted = [ids[one.keyid]] if one.keyid in ids else [*keys]
            found.update(key for key in hinted if key not in found and key.verify(one.sig, data))
        return found

    def verify(self, keys: Collection[PublicKey], threshold: int, payload_type: str) -> bytes:
        """The payload, if it is of this type and at least ``threshold`` of the keys signed it.

        Errors: ``signature-invalid`` (type, threshold), ``sign-missing``.
        """
        if self.payload_type != payload_type:
            raise _refuse(f"this is {self.payload_type!r}, not {payload_type!r}", "type")
        good = self.signers(keys)
        if not 1 <= threshold <= len(good):
            raise _refuse(
                f"{len(good)} of {len(keys)} trusted keys signed it, at least {max(threshold, 1)} must; "
                f"it has {counted(len(self.signatures), 'signature')}",
                "threshold",
                signed=len(good),
                threshold=threshold,
            )
        return self.payload

    def to_serial(self) -> dict[str, Any]:
        return {
            "payload": b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": one.keyid, "sig": b64encode(one.sig).decode()} for one in self.signatures],
        }


def pae(payload_type: str, payload: bytes) -> bytes:
    """What is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def dump_envelope(envelope: Envelope) -> bytes:
    """The envelope's file."""
    from warpforge.model.layout import layout

    return layout(envelope.to_serial())


def load_envelope(data: bytes, name: str) -> Envelope:
    """Read a file; nothing in it is believed yet. ``name`` is said in messages.

    Errors: ``serialization``, ``signature-invalid`` (form).
    """
    value = read_plain(data)
    if value is None:
        from warpforge.model.jsontext import read_careful

        value, _ = read_careful(data, name)
    try:
        signatures = value["signatures"]
        if len(signatures) > MOST_SIGNATURES:
            raise _refuse(f"{name} has more than {MOST_SIGNATURES} signatures", "form")
        return Envelope(
            _text(value["payloadType"]),
            _bytes(value["payload"]),
            tuple(Signature(_text(one.get("keyid", "")), _bytes(one["sig"])) for one in signatures),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, Invalid):
            raise
        text = f"{name} is no DSSE envelope (payload, payloadType, signatures): nobody signed it"
        raise _refuse(text, "form") from error


def _text(value: object) -> str:
    if type(value) is not str:
        raise TypeError("a text is wanted")
    return value


def _bytes(value: object) -> bytes:
    """Either alphabet of base64, as DSSE wants it."""
    text = _text(value)
    try:
        return urlsafe_b64decode(text) if "-" in text or "_" in text else b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _refuse(message: str, reason: str, **details: int) -> Invalid:
    return Invalid("signature-invalid", message, cause=None, reason=reason, **details)
