"""Where the conformance data lies, when it is there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

CONFORMANCE = Path(os.environ.get("WARPFORGE_CONFORMANCE", Path(__file__).parents[3] / "shared" / "conformance"))

needs_conformance = pytest.mark.skipif(
    not CONFORMANCE.is_dir(), reason="the conformance data is not beside this checkout"
)


def load(name: str) -> Any:
    """One JSON file of the conformance data."""
    return json.loads((CONFORMANCE / name).read_bytes())
