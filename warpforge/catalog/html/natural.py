"""Names in the order that people expect: v1.10 after v1.9."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_NUMBERS: Final = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Digits as numbers, before letters; what ends first stands first, but ``v1.0-rc1`` comes before v1.0."""
    main, _, rest = name.partition("-")
    is_early = rest[:1].isalpha()
    parts = [_part(part) for part in _NUMBERS.split(main) if part]
    parts.append((-1, 0, "") if is_early else (0, 0, ""))
    parts += [_part(part) for part in _NUMBERS.split(rest) if part]
    return tuple(parts)


def newest_first(names: Iterable[str]) -> list[str]:
    """Releases, the one with the highest name first."""
    return sorted(names, key=lambda name: (natural_key(name), name), reverse=True)


def _part(text: str) -> tuple[int, int, str]:
    return (2, int(text[:20]), "") if text.isdecimal() else (1, 0, text)
