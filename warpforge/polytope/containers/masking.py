"""The secrets that a job has used, and *** in their place in everything that it says."""

from __future__ import annotations

import threading
from typing import Final

from warpforge.engine.secrets import SHORTEST, spell_all, veil, veil_error
from warpforge.errors import WarpforgeError
from warpforge.polytope.nouns import Value

KEPT_WHOLE: Final = "surrogateescape"


class Mask:
    """Any thread may add a secret or mask a text. A secret of fewer than ``SHORTEST`` bytes would be found everywhere,
    and is not looked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, bytes] = {}
        self._spellings: list[bytes] = []

    def add(self, secret: str) -> None:
        """From now on this is masked."""
        value = secret.encode("utf-8", KEPT_WHOLE)
        with self._lock:
            if len(value.strip()) >= SHORTEST and secret not in self._values:
                self._values[secret] = value
                self._spellings = spell_all(self._values)

    def text(self, text: str) -> str:
        """The text as it may be shown."""
        if not self._spellings:
            return text
        return veil(text.encode("utf-8", KEPT_WHOLE), self._spellings).decode("utf-8", KEPT_WHOLE)

    def value(self, value: Value) -> Value:
        """The value with every text in it masked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(inner) for inner in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(inner) for key, inner in value.items()}
        return value

    def error(self, error: WarpforgeError) -> WarpforgeError:
        """The same error, which may be shown now."""
        if self._spellings:
            veil_error(error, self._spellings)
        return error
