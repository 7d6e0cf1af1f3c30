"""Questions to a running job, and their answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from warpforge.errors import Missing, WarpforgeError
from warpforge.polytope.jobs.control import Asker, Asking, Control


def test_whoever_is_refused_at_once_hears_why(tmp_path: Path) -> None:
    """Also when the answer is quicker than the end of the question's sending."""

    def refuse(question: Mapping[str, Any], asker: Asker) -> None:
        raise Missing("missing", f"no {question['do']}")

    with closing(Control(str(tmp_path), refuse)), open(os.devnull, "rb") as nothing:
        for _ in range(300):
            with Asking(str(tmp_path), "exec", fds=[nothing.fileno()] * 3) as asking:
                with pytest.raises(WarpforgeError) as refused:
                    asking.answer()
                assert refused.value.reason == "" and refused.value.message == "no exec"
