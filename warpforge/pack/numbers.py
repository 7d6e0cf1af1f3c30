"""The fields of a tar header and of PAX records, parsed strictly."""

from __future__ import annotations

import re
from typing import Final

from . import faults

_TIME: Final = re.compile(rb"(-?)([0-9]{1,15})(?:\.([0-9]*))?\Z")
_DECIMAL: Final = re.compile(rb"-?[0-9]{1,19}\Z")
_LENGTH: Final = re.compile(rb"([1-9][0-9]{0,6}) ")


def parse_number(field: bytes) -> int:
    """An octal field, or a base-256 one (GNU: first bit set, two's complement). Errors: ``ware-corrupt``."""
    digits = field[:-1]
    if not field[-1] and digits.isdigit() and b"8" not in digits and b"9" not in digits:
        return int(digits, 8)
    if field[0] & 0x80:
        # the first bit is the mark, the second the sign
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    digits = field.strip(b" \0")
    if not digits:
        return 0
    try:
        if not digits.isdigit():
            raise ValueError
        return int(digits, 8)
    except ValueError:
        raise faults.corrupt(f"a number in a header is none: {field!r}") from None


def parse_decimal(value: bytes, member: bytes) -> int:
    """A decimal number of a PAX record. Errors: ``ware-invalid``, reason metadata."""
    if not _DECIMAL.match(value):
        raise faults.invalid("metadata", member, f"not a number: {value[:40]!r}")
    return int(value)


def parse_time(value: bytes, member: bytes) -> tuple[int, int]:
    """Seconds and nanoseconds of a PAX time; what is finer is cut off. Errors: ``ware-invalid``, reason metadata."""
    match = _TIME.match(value)
    if match is None:
        raise faults.invalid("metadata", member, f"not a time: {value[:40]!r}")
    seconds, nanoseconds = int(match[2]), int((match[3] or b"0")[:9].ljust(9, b"0"))
    if match[1]:
        return (-seconds - 1, 1_000_000_000 - nanoseconds) if nanoseconds else (-seconds, 0)
    return seconds, nanoseconds


def parse_records(data: bytes) -> dict[bytes, bytes]:
    """PAX records, ``LENGTH KEY=VALUE\\n`` each; a key's last value counts. Errors: ``ware-corrupt``."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        match = _LENGTH.match(data, at)
        end = at + int(match[1]) if match else 0
        if match is None or not match.end() < end <= len(data) or data[end - 1] != 0x0A:
            raise faults.corrupt("a PAX record is broken")
        key, equals, value = data[match.end() : end - 1].partition(b"=")
        if not equals or not key:
            raise faults.corrupt("a PAX record is broken")
        records[key] = value
        at = end
    return records
