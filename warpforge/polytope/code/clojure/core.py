"""The functions of clojure.core (and .string, .set) that are here, by name."""

from __future__ import annotations

from typing import Any, Final

from warpforge.polytope.code.clojure import core_lazy, core_maps, core_numbers, core_sequences, core_text

CORE: Final[dict[str, Any]] = {
    **core_numbers.NAMES,
    **core_lazy.NAMES,
    **core_sequences.NAMES,
    **core_maps.NAMES,
    **core_text.NAMES,
}
