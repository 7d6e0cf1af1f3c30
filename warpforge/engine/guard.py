"""The guard of one run with secrets: it masks what is said, and searches what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from warpforge.engine.secrets import Search, Veil, spell_all, veil_error

if TYPE_CHECKING:
    from warpforge.errors import WarpforgeError
    from warpforge.fsx.tree import Content, Entry


class Guard:
    """``values`` by the secret's name."""

    def __init__(self, values: Mapping[str, bytes]) -> None:
        self.values = values
        self._spellings = spell_all(values)
        self._veils: dict[str, Veil] = {}

    def covered(self, on_output: Callable[[str, bytes], None]) -> Callable[[str, bytes], None]:
        """As ``on_output``, which hears masked bytes only."""

        def cover(stream: str, data: bytes) -> None:
            shown = self._veils.setdefault(stream, Veil(self._spellings)).feed(data)
            if shown:
                on_output(stream, shown)

        return cover

    def finish(self, on_output: Callable[[str, bytes], None]) -> None:
        """Nothing more is said: let go of what was held back."""
        for stream, held in self._veils.items():
            if rest := held.flush():
                on_output(stream, rest)

    def searched(
        self, label: str, entries: Iterator[tuple[Entry, Content | None]]
    ) -> Iterator[tuple[Entry, Content | None]]:
        """The entries of an output; it raises ``output-invalid`` (secret) where one tells a secret."""
        return Search(label, self._spellings).entries(entries)

    def mask(self, error: WarpforgeError) -> None:
        """Mask what an error says, in place."""
        veil_error(error, self._spellings)
