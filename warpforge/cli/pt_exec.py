"""pt exec: a command in a container of a job that runs."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import click

from warpforge.cli.app import CONTEXT, Command, Common, pass_common, refuse_argument, show_error
from warpforge.cli.pt_jobs import find_job_with, get_running
from warpforge.errors import PREFIX, Missing, WarpforgeError

if TYPE_CHECKING:
    from warpforge.polytope.jobs.control import Asking
    from warpforge.polytope.jobs.journal import Recorded

HANDED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_CHUNK: Final = 1 << 16
_SETTINGS: Final = {**CONTEXT, "allow_interspersed_args": False}  # what comes behind the container is the command's
# why a command did not even begin, and the exit status then, as shells have it
_NOT_BEGUN: Final = ("command", "user", "workdir", "one-uid")
_CANNOT_BEGIN: Final = 126
_NO_COMMAND: Final = 127


@click.command(cls=Command, name="exec", context_settings=_SETTINGS)
@click.argument("container")
@click.argument("argv", nargs=-1, required=True, metavar="[--] COMMAND [ARGUMENT]...", type=click.UNPROCESSED)
@click.option("--tty", "-t", is_flag=True, help="It has this terminal.")
@click.option("--interactive", "-i", is_flag=True, help="Nothing more: its standard input is always this one's.")
@click.option("--env", "-e", multiple=True, metavar="NAME=VALUE", help="A variable, besides those of the container.")
@click.option("--workdir", "-w", default="", metavar="DIR", help="Where it begins; else where the container does.")
@click.option("--user", "-u", default="", metavar="USER[:GROUP]", help="Whom it is; else the container's user.")
@click.option("--job", "job_id", default="", metavar="JOB", help="In this job; else in the newest that has it.")
@pass_common
def execute(
    common: Common,
    container: str,
    argv: tuple[str, ...],
    *,
    tty: bool,
    interactive: bool,
    env: tuple[str, ...],
    workdir: str,
    user: str,
    job_id: str,
) -> int:
    """Run a command in a running container, which a container's, a step's or a service's id names.

    It is the container's user, has its environment, and its standard input from here. The exit status is its own,
    128 + n when signal n ended it; 127 when there is no such command, 126 when it cannot begin. Signals, Ctrl-C
    above all, are handed on to it; it ends with this command. Options stand before the container.
    """
    if argv[0] == "--":
        argv = argv[1:]
    elif argv[0].startswith("-"):
        refuse_argument(f"{argv[0]}: options stand before {container}, the command behind it")
    if not argv:
        refuse_argument("no command to run")
    if tty and not (sys.stdin.isatty() and sys.stdout.isatty()):
        refuse_argument("--tty: that needs a terminal")
    job = get_running(common, job_id) if job_id else _find(common, container)
    question = {
        "container": _container(job, container),
        "argv": list(argv),
        "env": dict(map(_variable, env)),
        "workdir": workdir,
        "user": user,
        "terminal": tty,
    }
    try:
        return _at_terminal(job.path, question) if tty else _at_pipes(job.path, question)
    except WarpforgeError as error:
        if error.reason not in _NOT_BEGUN:
            raise
        show_error(common, error)
        is_missing = error.reason == "command" and error.code == f"{PREFIX}missing"
        return _NO_COMMAND if is_missing else _CANNOT_BEGIN


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        refuse_argument(f"--env {text}: NAME=VALUE is wanted")
    return name, value


def _find(common: Common, id: str) -> Recorded:
    found = find_job_with(common, id)
    return found if found is not None and found.is_running else get_running(common)


def _container(job: Recorded, id: str) -> str:
    """The one that runs, of those that are meant. Errors: ``missing``."""
    _, containers = job.summary.parts_of(id)
    for one in containers:
        if not job.summary.containers[one].has_ended:
            return one
    raise Missing("missing", f"no container of {id} runs", container=id)


def _at_terminal(path: str, question: dict[str, object]) -> int:
    from warpforge.polytope.jobs.control import Asking
    from warpforge.sandbox.seat import Terminal, following

    with Terminal(0, 1) as seat:
        fds = [seat.box_fd] * 3
        with Asking(path, "exec", fds=fds, **question) as asking, _handing_on(asking), following(seat.resize):
            seat.begin()
            return _listen(asking, {seat.our_fd: 1})


def _at_pipes(path: str, question: dict[str, object]) -> int:
    from warpforge.polytope.jobs.control import Asking
    from warpforge.sandbox.seat import Stdin

    stdin = Stdin(0)
    out, theirs_out = os.pipe()
    err, theirs_err = os.pipe()
    with Asking(path, "exec", fds=[stdin.box_fd, theirs_out, theirs_err], **question) as asking, _handing_on(asking):
        stdin.begin()
        os.close(theirs_out)
        os.close(theirs_err)
        return _listen(asking, {out: 1, err: 2})


@contextmanager
def _handing_on(asking: Asking) -> Iterator[None]:
    """Signals go to the command."""
    before = {number: signal.getsignal(number) for number in HANDED_ON}
    for number in HANDED_ON:
        signal.signal(number, lambda number, frame: asking.say({"signal": number}))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(asking: Asking, sinks: dict[int, int]) -> int:
    """Pass on what it says, to the last that it said before its end; gives its status."""
    poll = select.poll()
    for fd in (asking.connection.fileno(), *sinks):
        poll.register(fd, select.POLLIN)
    ended = False
    while True:
        ready = {fd for fd, _ in poll.poll(0 if ended else None)}
        said = [fd for fd in ready if fd in sinks and _pass_on(fd, sinks[fd], poll)]
        if ended and not said:
            return int(asking.answer())
        ended = ended or asking.connection.fileno() in ready
        if ended:
            with suppress(KeyError):
                poll.unregister(asking.connection)


def _pass_on(source: int, sink: int, poll: select.poll) -> bool:
    try:
        data = os.read(source, _CHUNK)
    except OSError:  # a terminal whose other end is closed
        data = b""
    if not data:
        poll.unregister(source)
        return False
    while data:
        data = data[os.write(sink, data) :]
    return True
