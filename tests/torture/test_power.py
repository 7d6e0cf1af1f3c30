"""Power cuts: all that a command said was there is there afterwards (wares, memos, pins, releases, snapshots, verdicts,
bundles, updates), and nothing is torn.

WARPFORGE_TEST_EVERY=1 (`make torture`) cuts the power 200 times, otherwise three.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import ledger
from support.actor import ENVIRONMENT

ALL = os.environ.get("WARPFORGE_TEST_EVERY") == "1"
ALONE = ["unshare", "--mount", "--propagation", "private"]
KINDS = ("ware", "memo", "pin", "ref", "snapshot", "verdict", "bundle", "update")
PARTS, CUTS = (8, 25) if ALL else (1, 3)


def needs_loop_mounts(place: Path) -> None:
    """Skip where a file cannot be mounted as a file system."""
    script = 'truncate -s 8M "$0/i" && mkfs.ext4 -q -F "$0/i" && mkdir "$0/m" && mount -o loop "$0/i" "$0/m"'
    done = subprocess.run([*ALONE, "sh", "-c", script, place], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no loop mounts here: {done.stderr.strip()}")


@pytest.mark.parametrize("part", range(PARTS))
def test_the_power_fails(tmp_path: Path, part: int) -> None:
    (tmp_path / "probe").mkdir()
    needs_loop_mounts(tmp_path / "probe")
    (tmp_path / "rig").mkdir()
    command = [*ALONE, sys.executable, "-m", "support.power", str(tmp_path / "rig"), str(CUTS), str(part)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    ledger.count("power cuts", counts["cuts"])
    for kind in KINDS:
        ledger.count(f"acknowledged {kind}s looked for", counts.get(f"{kind}s looked for", 0))
        ledger.count(f"acknowledged {kind}s lost", counts.get(f"{kind}s lost", 0))
    assert [counts.get(f"{kind}s lost", 0) for kind in KINDS] == [0] * len(KINDS), counts
    assert counts["torn"] == 0, counts
    assert counts["cuts"] == CUTS and counts["wares looked for"] >= CUTS and counts["memos looked for"] > 0, counts
