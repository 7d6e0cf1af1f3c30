"""Document ids: ``z`` + base58btc(01 71 20 30 + SHA-384(canonical dag-cbor of the document as written)).

Sources: the dag-cbor, CID and multihash specifications. Maps sort by the length of the key, then its bytes.
A tree is named otherwise (``pack``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from warpforge.errors import Internal

from .atoms import Secret

try:  # the interpreter's own SHA-2: loading OpenSSL for a few kilobytes costs more than a whole run from the memo
    from _sha2 import sha384  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    try:
        from _sha512 import sha384  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        from hashlib import sha384

if TYPE_CHECKING:
    from .formula import Formula

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS: Final = tuple(high + low for high in ALPHABET for low in ALPHABET)
_CHUNK: Final = 58**10

# CID version 1, dag-cbor, SHA-384, 48 bytes: not zero, so base58 has no leading ones
_PREFIX: Final = b"\x01\x71\x20\x30"


class Serial(Protocol):
    """A noun that can be given as plain values."""

    def to_serial(self) -> Any: ...


def digest(data: bytes) -> str:
    """The SHA-384 of some bytes, in hexadecimal."""
    found: str = sha384(data).hexdigest()
    return found


def document_id(value: Any) -> str:
    """The id of a document given as plain values (dict, list, str, int, bool): the object under the capsule key."""
    return "z" + _base58(_PREFIX + sha384(cbor(value)).digest())


def formula_id(formula: Formula) -> str:
    """Empty for a formula with a secret, for its inputs do not say all that went in."""
    if any(isinstance(entry.basis, Secret) for entry in formula.inputs.values()):
        return ""
    return document_id(formula.to_serial())


def plot_id(plot: Serial) -> str:
    return document_id(plot.to_serial())


def release_id(release: Serial) -> str:
    return document_id(release.to_serial())


def cbor(value: Any) -> bytes:
    """Canonical dag-cbor of plain values."""
    out: list[bytes] = []
    _write(value, out.append)
    return b"".join(out)


def base58(data: bytes) -> str:
    """base58 with the bitcoin alphabet, leading zero bytes as ``1``."""
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + _base58(data)


def _base58(data: bytes) -> str:
    number = int.from_bytes(data, "big")
    chunks: list[str] = []
    while number:
        # ten digits at a time: few divisions of the long number, the rest on machine words
        number, chunk = divmod(number, _CHUNK)
        chunks.append(
            _PAIRS[chunk // 58**8]
            + _PAIRS[chunk // 58**6 % 3364]
            + _PAIRS[chunk // 58**4 % 3364]
            + _PAIRS[chunk // 58**2 % 3364]
            + _PAIRS[chunk % 3364]
        )
    chunks.reverse()
    return "".join(chunks).lstrip("1")


def _write(value: Any, put: Callable[[bytes], None]) -> None:
    kind = type(value)
    if kind is str:
        put(_text(value) if len(value) < 256 else _encode(value))
    elif kind is dict:
        put(_head(0xA0, len(value)))
        for key in sorted(value, key=_key_order) if len(value) > 1 else value:
            put(_text(key))
            item = value[key]
            if type(item) is str:
                put(_text(item) if len(item) < 256 else _encode(item))
            else:
                _write(item, put)
    elif kind is list or kind is tuple:
        put(_head(0x80, len(value)))
        for item in value:
            _write(item, put)
    elif kind is bool:
        put(b"\xf5" if value else b"\xf4")
    elif kind is int:
        put(_head(0x00, value) if value >= 0 else _head(0x20, -1 - value))
    elif isinstance(value, str):
        put(_text(str(value)))
    else:
        raise Internal("internal", f"a document holds a {kind.__name__}, which has no canonical form")


@lru_cache(maxsize=4096)
def _key_order(key: str) -> tuple[int, bytes]:
    raw = key.encode()
    return len(raw), raw


@lru_cache(maxsize=4096)
def _text(text: str) -> bytes:
    # the same ports, labels and field names come a thousand times
    return _encode(text)


def _encode(text: str) -> bytes:
    raw = text.encode()
    return _head(0x60, len(raw)) + raw


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes((major | value,))
    if value < 0x100:
        return bytes((major | 24, value))
    if value < 0x10000:
        return bytes((major | 25,)) + value.to_bytes(2, "big")
    if value < 0x100000000:
        return bytes((major | 26,)) + value.to_bytes(4, "big")
    return bytes((major | 27,)) + value.to_bytes(8, "big")
