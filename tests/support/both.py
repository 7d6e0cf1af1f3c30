"""A mark for tests that hold for every back-end."""

from __future__ import annotations

import pytest

in_both = pytest.mark.parametrize("backend", ["bwrap", "runc"], indirect=True)
