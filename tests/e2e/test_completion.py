"""A shell asks how a word may go on."""

from __future__ import annotations

import subprocess

import pytest
from support.world import WARPFORGE, World


@pytest.mark.parametrize("program", ["warpforge", "pt"])
def test_commands_are_told(world: World, program: str) -> None:
    env = {f"_{program.upper()}_COMPLETE": "bash_complete", "COMP_WORDS": f"{program} lo", "COMP_CWORD": "1"}
    argv = [WARPFORGE.parent / program]
    done = subprocess.run(argv, env=world.environment(env), capture_output=True, text=True, check=True)
    assert "plain,log" in done.stdout and done.stderr == ""
