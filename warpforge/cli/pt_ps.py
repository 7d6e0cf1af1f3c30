"""pt ps: the jobs of this project, their steps, containers and services."""

from __future__ import annotations

import time
from datetime import datetime

import click

from warpforge.cli.app import Command, Common, Group, pass_common, printable, to_json
from warpforge.cli.pt_jobs import get_running, jobs_of, running_jobs
from warpforge.polytope.jobs.journal import Recorded, list_jobs
from warpforge.polytope.jobs.summary import JobSummary


@click.command(cls=Command, name="ps")
@click.option("--all", "-a", "every", is_flag=True, help="Jobs that have ended, too.")
@pass_common
def ps(common: Common, *, every: bool) -> None:
    """List the jobs that run here, with their steps, containers and services."""
    jobs = [job for job in list_jobs(jobs_of(common)) if every or job.is_running]
    if common.json:
        for job in jobs:
            common.result(to_json({"jobsummary": _serial(job)}))
        return
    if not jobs:
        common.note("no job runs here" if not every else "no job was ever run here")
    for job in jobs:
        show_job(common, job)


def show_job(common: Common, job: Recorded) -> None:
    """One job, for a person."""
    from warpforge.cli.board import clock
    from warpforge.cli.pt_board import address, said

    summary = job.summary
    state = "killed" if job.was_killed else summary.state
    began = datetime.fromtimestamp(summary.created).strftime("%Y-%m-%d %H:%M:%S")
    took = clock((summary.finished or time.time()) - summary.created) if job.is_running or summary.finished else "?"
    common.result(printable(f"{summary.id}  {state}  since {began}, {took}  {summary.run}"))
    if job.was_killed:
        return  # what its directory says of its parts is no longer so
    for service in summary.services.values():
        where = "  ".join(address(port) for port in service.ports)
        common.result(printable(f"  service    {service.id:<20} {service.state:<10} {where}"))
    for step in summary.steps.values():
        if not step.is_template:
            common.result(printable(f"  step       {step.id:<20} {step.state:<10} {step.why}".rstrip()))
    for container in summary.containers.values():
        common.result(printable(f"  container  {container.id:<20} {said(container):<10} {container.image}"))


def _serial(job: Recorded) -> dict[str, object]:
    import msgspec

    found: dict[str, object] = msgspec.to_builtins(job.summary)
    return {**found, "isRunning": job.is_running}


@click.command(cls=Command, name="list-services")
@click.option("--job", "id", default="", metavar="JOB", help="Of this job; else of all that run.")
@pass_common
def list_services(common: Common, id: str) -> None:
    """List the services that run here, and where this host reaches them."""
    from warpforge.cli.pt_board import address

    jobs = [get_running(common, id)] if id else running_jobs(common)
    if not jobs:
        common.note("no job runs here")
    for summary in (job.summary for job in jobs):
        for service in summary.services.values():
            if common.json:
                common.result(to_json({"service": _service(summary, service.id)}))
                continue
            where = "  ".join(address(port) for port in service.ports)
            common.result(printable(f"{service.id:<20} {service.state:<10} {where}"))


def _service(summary: JobSummary, id: str) -> dict[str, object]:
    service = summary.services[id]
    ports = [
        {"port": port.port, "protocol": port.protocol, "hostPort": port.host_port, "label": port.label}
        for port in service.ports
    ]
    container = service.containers[0] if service.containers else ""
    return {"service": id, "container": container, "state": service.state, "ports": ports}


@click.group(cls=Group, name="services")
def services() -> None:
    """The services of the jobs that run here."""


services.add_command(list_services, "list")
