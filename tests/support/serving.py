"""A world's warehouse served by the real command, for as long as a test needs it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from support.world import WARPFORGE, World


@contextmanager
def serving(world: World, *args: str, listen: str = "127.0.0.1:0", prefix: Sequence[str] = ()) -> Iterator[str]:
    """The world's warehouse served; gives its address; ended by Ctrl-C. ``prefix``: words before the command."""
    argv = [*prefix, str(WARPFORGE), "--json", "warehouse", "serve", "--listen", listen, *args]
    running = subprocess.Popen(argv, cwd=world.root, env=world.environment(), stdout=subprocess.PIPE)
    assert running.stdout
    try:
        yield json.loads(running.stdout.readline())["serving"]["address"]
    finally:
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0
        running.stdout.close()
