"""What can be wrong with a ware, in words: every error of this package is made here."""

from __future__ import annotations

from warpforge.errors import Failed, Invalid, Unable


def printable(name: bytes) -> str:
    """Raw bytes as text that is safe on a terminal: whatever does not print is escaped, as is the backslash."""
    text = name.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(c if c.isprintable() and c != "\\" else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def invalid(reason: str, member: bytes | None, why: str) -> Invalid:
    """A ware that no rule allows, for the sake of one member, or for its own.

    ``reason``: path, link, type, duplicate, name or metadata.
    """
    if member is None:
        return Invalid("ware-invalid", why, reason=reason)
    shown = printable(member) or "."
    return Invalid("ware-invalid", f"{shown}: {why}", reason=reason, member=shown)


def over_limit(reason: str, why: str) -> Invalid:
    """A ware that asks for too much; ``reason``: bytes, ratio, entries, header or depth."""
    return Invalid("ware-limit", why, reason=reason)


def corrupt(why: str, member: bytes | None = None) -> Unable:
    """Bytes that are not what they should be: fetch or pack the ware again."""
    shown = None if member is None else printable(member) or "."
    return Unable("ware-corrupt", why if shown is None else f"{shown}: {why}", member=shown)


def mismatch(expected: str, found: str) -> Failed:
    """A ware whose hash is another than its name."""
    return Failed(
        "ware-mismatch",
        f"the bytes of {expected} have the hash of {found}: drop this copy and fetch it from elsewhere",
        wareId=expected,
        found=found,
        reason="hash",
    )


def unreadable(error: OSError) -> Unable:
    """A tree that could not be read whole: an unreadable or changing file must never be left out in silence."""
    name = error.filename
    shown = printable(name) or "." if isinstance(name, bytes) else str(name) if name else None
    where = f"{shown}: " if shown else ""
    return Unable(
        "store",
        f"{where}cannot be packed: {error.strerror or error}; make it readable and unchanging, and pack again",
        cause=error,
        reason="io",
        path=shown,
    )
