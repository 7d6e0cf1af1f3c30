"""``pt run --detach``: the job runs behind the terminal; its process is this command again, in a session of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from tempfile import TemporaryFile
from typing import Final

import click

from warpforge.cli.app import Common, to_json
from warpforge.polytope.jobs.journal import list_jobs

PAUSE: Final = 0.05  # seconds between two looks whether it has begun
_MARK: Final = "WARPFORGE_DETACHED"  # in the environment: an argument would have to find its place among theirs


def is_detached() -> bool:
    """Whether this process is behind the terminal already. Asked once: what it begins is not."""
    return os.environ.pop(_MARK, "") != ""


def detach(common: Common, jobs: str) -> int:
    """Begin the job that this command line asks for, and give its id; what keeps it from beginning is said here.

    ``jobs``: where its directory will be.
    """
    environment = os.environ | {_MARK: "1"}
    since = time.time()
    with TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, *sys.argv],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        while True:
            ended = process.poll()
            for summary in (job.summary for job in list_jobs(jobs)):
                if summary.pid == process.pid and summary.created >= since:
                    told = {"job": summary.id, "state": summary.state, "why": summary.why}
                    common.result(to_json({"job": told}) if common.json else summary.id)
                    return 0
            if ended is not None:
                said.seek(0)
                click.echo(said.read(), err=True, nl=False)
                return ended
            time.sleep(PAUSE)
