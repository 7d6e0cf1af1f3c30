"""JSON text that is plainly fine -> plain values, at the speed of C. All else is left to ``jsontext``.

Fine: RFC 8259, UTF-8 without a byte order mark, no key twice, nothing beyond the limits below.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

SIZE_LIMIT: Final = 16 * 1024 * 1024
MEMBER_LIMIT: Final = 500_000
# objects and arrays within each other; no schema of ours goes as deep, so only jsontext counts them
DEPTH_LIMIT: Final = 512
# numbers beyond it are not the same in every reader
INT_LIMIT: Final = 2**53


def read_plain(data: bytes) -> Any:
    """The value of text that is plainly fine; None when the careful reader has to look."""
    if len(data) > SIZE_LIMIT:
        return None
    colons = data.count(b":")
    if colons > MEMBER_LIMIT or (b"\\" in data and b"\\u003" in data):  # one byte is found far sooner than six
        return None
    try:
        value = msgspec.json.decode(data)
        # a key given twice is decoded once: its member's colon is then missing when written again,
        # and no colon hides in an escape (looked for above)
        exact = msgspec.json.encode(value).count(b":") == colons
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError):
        return None
    return value if exact else None
