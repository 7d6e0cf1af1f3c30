"""pt run: modules, templates and tools, as a job before one's eyes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import click

from warpforge.cli.app import Command, Common, pass_common, refuse_argument
from warpforge.cli.conduct import conducted
from warpforge.cli.pt_hermetic import choosing, make_choice, refuse_strangers
from warpforge.cli.pt_jobs import jobs_beside
from warpforge.errors import Failed, Missing

if TYPE_CHECKING:
    from warpforge.cli.pt_attach import Attachment
    from warpforge.cli.pt_lines import Teller
    from warpforge.cli.pt_session import Session
    from warpforge.polytope.calls.expand import Call
    from warpforge.polytope.jobs.job import Job
    from warpforge.polytope.jobs.summary import JobSummary

UNTIL: Final = "End with this step: whatever still runs then, services above all, is stopped."
ATTACH: Final = "Sit at the terminal of this step's container; by itself at that of the only one without services."
ROUTE: Final = "Send requests of code that begin with FROM to TO."


@click.command(cls=Command, name="run")
@click.argument("refs", nargs=-1, metavar="[REF[{ARGUMENTS}][,]]...")
@click.option("-f", "--file", metavar="FILE", help="The polytope file, or its directory; else the nearest from here.")
@click.option("--non-interactive", is_flag=True, help="Lines instead of a picture; nobody is asked anything.")
@click.option("--no-ui", is_flag=True, help="Lines instead of a picture.")
@click.option("--until", multiple=True, metavar="STEP", help=UNTIL)
@click.option("--attach", default="", metavar="STEP", help=ATTACH)
@click.option("--mcp", is_flag=True, help="Serve the sandbox's tools by MCP; the job stays until it is stopped.")
@click.option("--mcp-port", type=click.IntRange(0, 65535), default=31338, show_default=True, help="Where; 0 for any.")
@click.option("--route", "routes", multiple=True, metavar="FROM=TO", help=ROUTE)
@click.option("--log-file", metavar="FILE", help="Append all that is told to this file, with times.")
@click.option("--detach", "-d", is_flag=True, help="Behind the terminal: gives the job's id; see `pt attach`.")
@choosing
@click.option("--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Formulas at once; default: the cores.")
@click.option("--local", is_flag=True, hidden=True, help="What is always so here.")
@conducted
@pass_common
def run(
    common: Common,
    refs: tuple[str, ...],
    *,
    file: str | None,
    non_interactive: bool,
    no_ui: bool,
    until: tuple[str, ...],
    attach: str,
    mcp: bool,
    mcp_port: int,
    routes: tuple[str, ...],
    log_file: str | None,
    detach: bool,
    hermetic: bool | None,
    only: tuple[str, ...],
    jobs: int | None,
    local: bool,
) -> int:
    """Run modules and templates side by side, as one job; what follows a comma runs after what stands before it.

    Arguments stand in braces right behind a reference, as in 'polytope/postgres{port: 5433}'. Ctrl-C stops all
    services in order, twice at once. In a terminal, a job's only container has that terminal, if it has no services:
    all keys go to it, but Ctrl-P Ctrl-Q, which gives the terminal back.
    """
    from warpforge.cli.pt_attach import attachment_for
    from warpforge.cli.pt_log_file import LogFile
    from warpforge.cli.pt_session import Session
    from warpforge.polytope.calls.argv import parse_calls
    from warpforge.polytope.modules.web import parse_route

    calls = parse_calls(refs)
    if detach:
        from warpforge.cli import pt_detach

        if not pt_detach.is_detached():
            return pt_detach.detach(common, jobs_beside(common, file))
    found = dict(map(parse_route, routes))
    with Session(common, file, highest=mcp and not file, routes=found, jobs=jobs) as session:
        session.choice = make_choice(session.library, hermetic=hermetic, only=only)
        if not calls and not mcp:
            _refuse_nothing(session)
        name = _name(calls) if calls else "sandbox"
        attachment = attachment_for(common, attach, is_plain=no_ui or (mcp and not attach), may_ask=not non_interactive)
        live, ask = not (non_interactive or no_ui), not non_interactive
        log = LogFile(common, common.settings.cwd / log_file) if log_file else None
        with playing(session, name, " ".join(refs), live=live, ask=ask, attachment=attachment, log=log) as job:
            steps = session.plan(job, calls)
            _refuse_strangers(until, [step.id for step in steps])
            refuse_strangers(session.choice, [step.id for step in steps], session.library)
            if attachment is not None:
                attachment.choose(steps, session.library)
            sitting = attachment.minded() if attachment else nullcontext()
            with answering(session, job, port=mcp_port if mcp else None), sitting:
                job.run(steps, until, stay=mcp)
        if attachment and (status := attachment.status(job)):
            return status
        finish(job)
    return 0


@contextmanager
def playing(
    session: Session,
    name: str,
    said: str,
    *,
    live: bool,
    ask: bool,
    attachment: Attachment | None = None,
    log: Teller | None = None,
) -> Iterator[Job]:
    """A job, told on the screen, and to ``log``, as long as the block lasts."""
    from warpforge.cli.pt_lines import LineTeller, make_teller
    from warpforge.cli.pt_person import Terminal

    tellers: list[Teller] = []

    def listen(summary: JobSummary) -> list[Any]:
        tellers.append(make_teller(session.common, summary, live=live))
        tellers.extend([log] if log else [])
        return [teller.hear for teller in tellers]

    def lines() -> LineTeller:
        assert isinstance(tellers[0], LineTeller)  # under --json nobody is asked
        return tellers[0]

    person = Terminal(lines, attachment) if ask and not session.common.json else None
    job = session.make_job(name, said, listen, person)
    if person is not None:
        session.common.give_back = person.close
    try:
        yield job
    finally:
        if person is not None:
            person.close()
        for teller in tellers:
            teller.close()


@contextmanager
def answering(session: Session, job: Job, *, port: int | None) -> Iterator[None]:
    """The job answers on its socket, and by MCP at ``port``."""
    from warpforge.cli.pt_tools import describe_tools
    from warpforge.polytope.calls.expand import Call
    from warpforge.polytope.jobs.answers import Answers
    from warpforge.polytope.jobs.control import Control

    def start(reference: str, args: Any) -> tuple[list[str], list[str]]:
        session.library.refresh()
        call = Call(reference=reference, args=dict(args), file=session.library.root)
        steps = session.plan(job, [[call]])
        job.parts.author.check(steps, job.outside())  # what cannot begin is whoever calls's affair, not the job's
        ids = job.add(steps)
        given = {step.id: id for step, id in zip(steps, ids, strict=True)}
        return ids, [given[id] for id in session.awaited(call, steps)]

    def tools() -> list[dict[str, Any]]:
        session.library.refresh()
        return describe_tools(session.library)

    answers = Answers(job, start, tools)
    control = Control(job.parts.journal.path, answers.answer)
    http = None
    try:
        if port is not None:
            from warpforge.polytope.jobs.mcp import Server
            from warpforge.polytope.jobs.mcp_http import McpHttp

            root, files = session.library.root, session.library.files
            only = root.tools_only if root else ()
            instructions = "\n\n".join(file.instructions.strip() for file in files if file.instructions)
            server = Server("pt", instructions, lambda: answers.tools(only))
            http = McpHttp(server, port)
            session.common.note(f"MCP at {http.url}")
        yield
    finally:
        control.close()
        if http is not None:
            http.close()


def finish(job: Job) -> None:
    """Say how it ended. Errors: ``job-step-failed``, with the step's error as its cause."""
    error = job.error()
    if error is not None:
        raise error
    if job.summary.state == "failed":
        raise Failed("job-step-failed", f"job {job.summary.id} failed: {job.summary.why}")


def _name(calls: Sequence[Sequence[Call]]) -> str:
    """The job's id: from the last part of the first reference."""
    last = re.split(r"[/!]", calls[0][0].reference)[-1].lower()
    return re.sub(r"[^a-z0-9_-]+", "-", last).strip("-") or "job"


def _refuse_nothing(session: Session) -> None:
    root = session.library.root
    if root is None:
        refuse_argument(
            "what is to run? There is no polytope.yml here; built-ins are called polytope/NAME: see `pt show`"
        )
    there = ", ".join(noun.id for noun in root.nouns) or "nothing"
    refuse_argument(f"what is to run? {root.path} has {there}")


def _refuse_strangers(until: Sequence[str], steps: Sequence[str]) -> None:
    for step in until:
        if step not in steps:
            raise Missing("missing", f"--until {step}: the steps are {', '.join(steps)}", step=step)
