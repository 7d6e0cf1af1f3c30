"""Write again what the calls in fixtures/polytope/builtin give; look at the difference before you commit it.

.venv/bin/python scripts/goldens.py [NAME...]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.goldens import GOLDENS, write

from warpforge.polytope.code.evaluator import Evaluator


def main() -> None:
    names = sys.argv[1:] or sorted(path.stem for path in GOLDENS.glob("*.json"))
    with Evaluator() as evaluator:
        for name in names:
            write(GOLDENS / f"{name}.json", evaluator)


if __name__ == "__main__":
    main()
