"""A job that runs: its steps in threads, what they give each other, its logs and its end."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from support.jobs import Maker, Play

from warpforge.errors import Failed, Invalid, Missing
from warpforge.fsx.atomic import write_atomic
from warpforge.fsx.locks import Lock
from warpforge.polytope.calls.steps import JobStep
from warpforge.polytope.events import ContainerSpawned, JobChanged, StepSaid
from warpforge.polytope.jobs.control import Asker, Control, ask
from warpforge.polytope.jobs.job import CLASH, LEFT, Job
from warpforge.polytope.jobs.journal import KEPT, Journal, Recorded, get_job, list_jobs, load_job, log_name, read_log
from warpforge.polytope.jobs.summary import JobSummary
from warpforge.polytope.nouns import After, Value
from warpforge.polytope.runner import Runner


@pytest.fixture
def make_job(tmp_path: Path) -> Iterator[Maker]:
    maker = Maker(tmp_path)
    yield maker
    maker.close()


def steps(*said: str | JobStep) -> list[JobStep]:
    """``b<a``: b after a."""
    made = []
    for one in said:
        if isinstance(one, JobStep):
            made.append(one)
        else:
            id, _, after = one.partition("<")
            made.append(JobStep(id=id, call=id, after=(After(after),) if after else ()))
    return made


def fail(runner: Runner) -> Value:
    runner.fail("it broke", {"exit-code": 3})
    return None


def nothing(_: Runner) -> Value:
    return None


def texts(job: Job, step: str) -> list[str]:
    return [line.text for line in read_log(f"{job.parts.journal.path}/steps/{log_name(step)}", step)]


def test_steps_run_side_by_side(make_job: Maker) -> None:
    meeting = threading.Barrier(2, timeout=100)

    def meet(_: Runner) -> Value:
        meeting.wait()
        return None

    job, _ = make_job({"a": meet, "b": meet})
    assert job.run(steps("a", "b")) == "success"
    assert {step.state for step in job.summary.steps.values()} == {"success"}


def test_what_one_gives_the_next_waits_for(make_job: Maker) -> None:
    seen: list[Value] = []

    def give(runner: Runner) -> Value:
        runner.set_value("job", "word", "common")
        runner.sleep(0.05)
        return {"url": "u"}

    def take(runner: Runner) -> Value:
        seen.extend([runner.output("give"), runner.get_value("job", "word"), runner.get_value("step", "word")])
        return None

    job, _ = make_job({"give": give, "take": take})
    job.run(steps("take<give", "give"))
    assert seen == [{"url": "u"}, "common", None]


def test_a_step_waits_for_values_as_long_as_another_may_store_them(make_job: Maker) -> None:
    def store(runner: Runner) -> Value:
        runner.sleep(0.05)
        runner.set_value("project", "port", "8080")
        return runner.call_module("inner", {})

    def needs(id: str, name: str, after: tuple[After, ...] = ()) -> JobStep:
        return JobStep(id=id, call="port", args={"needs": name}, after=after)

    plays = {"store": store, "port": lambda runner: runner.get_value("project", "port")}
    job, _ = make_job({**plays, "inner": [needs("inside", "gone")]})
    assert job.run([needs("early", "port"), needs("never", "absent"), *steps("store")]) == "failed"
    assert job.find_output("early") == "8080"
    assert {name: step.why for name, step in job.summary.steps.items() if step.state == "failed"} == {
        "never": "not stored yet: absent",
        "inside": "not stored yet: gone",
        "store": "step inside failed",
    }


def test_a_value_that_somebody_else_stores_meanwhile_is_seen(make_job: Maker) -> None:
    begun = threading.Event()

    def linger(runner: Runner) -> Value:
        begun.set()
        while runner.get_value("job", "seen") is None:
            runner.sleep(0.05)
        return None

    def see(runner: Runner) -> Value:
        runner.set_value("job", "seen", True)
        return None

    job, _ = make_job({"linger": linger, "see": see})

    def store() -> None:
        begun.wait(30)
        job.parts.project.set_value("port", "1")

    threading.Thread(target=store).start()
    assert job.run([JobStep(id="see", call="see", args={"needs": "port"}), *steps("linger")]) == "success"


def test_a_failure_says_which_step_and_what_it_takes_along(make_job: Maker) -> None:
    job, heard = make_job({"a": fail, "b": nothing, "c": nothing})
    assert job.run(steps("a", "b<a", "c")) == "failed"
    error = job.error()
    assert error is not None and error.exit_status() == 1
    assert error.details["step"] == "a" and error.chain()[-1].details["data"] == '{"exit-code": 3}'
    assert job.summary.steps["b"].state == "canceled" and job.summary.steps["c"].state == "success"
    assert [event.state for event in heard if isinstance(event, JobChanged)] == ["running", "failed"]


def test_an_unknown_module_fails_only_its_own_step(make_job: Maker) -> None:
    job, _ = make_job({"a": nothing})
    job.run(steps("a", "gone"))
    error = job.error()
    assert job.summary.steps["a"].state == "success" and error is not None and error.exit_status() == 3


def test_a_circle_is_refused_before_anything_runs(make_job: Maker) -> None:
    job, _ = make_job({"a": nothing, "b": nothing})
    with pytest.raises(Invalid, match="a -> b -> a"):
        job.run(steps("a<b", "b<a"))
    assert job.summary.state == "failed"


def test_what_code_calls_and_begins(make_job: Maker) -> None:
    order: list[str] = []

    def note(word: str) -> Play:
        def play(_: Runner) -> Value:
            order.append(word)
            return word

        return play

    def code(runner: Runner) -> Value:
        assert runner.call_module("one", {}) == "one"
        assert runner.call_module("pair", {}) == {"one": "one", "two": "two"}
        assert runner.spawn_step("late", {}) == "late"
        with pytest.raises(Failed, match="step bad failed"):
            runner.call_module("badly", {})
        return "done"

    plays = {"one": note("one"), "two": note("two"), "code": code, "late": note("late"), "bad": fail}
    job, _ = make_job({**plays, "pair": steps("one", "two<one"), "badly": steps("bad", "two<bad")})
    job.run(steps("one", "code<one"))
    assert order[:4] == ["one", "one", "one", "two"] and order[4:] == ["late"]
    assert job.summary.steps["one-2"].parent == "code" and job.find_output("code") == "done"
    assert job.summary.steps["two-2"].state == "canceled"


def test_secrets_are_masked_in_all_that_is_said(make_job: Maker, tmp_path: Path) -> None:
    def tell(runner: Runner) -> Value:
        runner.set_secret("token", "s3cr3t-t0k3n")
        runner.log("info", "the token is s3cr3t-t0k3n\nand that is that")
        runner.fail("s3cr3t-t0k3n was refused", {"token": "s3cr3t-t0k3n"})
        return None

    job, heard = make_job({"a": tell})
    job.run(steps("a"))
    job.hear(ContainerSpawned("c", "a", "example.org/s3cr3t-t0k3n:1"))
    assert texts(job, "a") == ["the token is ***", "and that is that"]
    assert [event.line for event in heard if isinstance(event, StepSaid)] == texts(job, "a")
    everything = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "s3cr3t" not in everything + str(heard) + str(job.error()) + str(job.error() and job.error().to_serial())  # type: ignore[union-attr]


def test_a_job_that_is_told_to_stop_does(make_job: Maker) -> None:
    begun = threading.Event()

    def linger(runner: Runner) -> Value:
        begun.set()
        runner.sleep(3600)
        return None

    job, heard = make_job({"a": linger, "b": nothing})
    control = Control(job.parts.journal.path, lambda *_: job.request_stop())

    def stop() -> None:
        begun.wait(30)
        ask(job.parts.journal.path, "stop")

    thread = threading.Thread(target=stop)
    thread.start()
    assert job.run(steps("a", "b<a")) == "stopped"
    thread.join()
    control.close()
    assert [step.state for step in job.summary.steps.values()] == ["stopped", "canceled"]
    assert [event.why for event in heard if isinstance(event, JobChanged)] == ["", "it was asked to", ""]


def test_a_question_takes_what_is_its_own() -> None:
    ours, theirs = socket.socketpair()
    asker = Asker(theirs)
    socket.send_fds(ours, [b'{"do": "exec"}\n{"signal": 2}\n{"sig'], [ours.fileno()])
    assert asker.question() == b'{"do": "exec"}'
    assert not os.get_inheritable(asker.fds[0])  # by what another thread happens to start
    asker.close()
    ours.sendall(b'nal": 15}\n')
    ours.close()
    assert [*asker.more()] == [{"signal": 2}, {"signal": 15}]
    theirs.close()


def test_a_job_until_a_step_has_ended(make_job: Maker) -> None:
    def serve(runner: Runner) -> Value:
        runner.sleep(3600)
        return None

    job, _ = make_job({"server": serve, "check": nothing})
    assert job.run(steps("server", "check"), until=["check"]) == "success"
    assert job.summary.steps["server"].state == "stopped"


def test_services_that_clash_end_the_job_that_was_written_so(make_job: Maker) -> None:
    def clash(_: Runner) -> Value:
        raise Invalid("invalid", "services x and y are both to be reached at port 80", reason="port-clash")

    plays: dict[str, Play | list[JobStep]] = {
        "clash": clash,
        "server": lambda runner: runner.sleep(3600),
        "outer": lambda runner: runner.call_module("inner", {}),
        "inner": [JobStep(id="inside", call="clash")],
    }
    job, heard = make_job(plays)
    assert job.run(steps("server", "outer")) == "failed"
    assert job.summary.steps["server"].state == "stopped" and "x and y" in job.summary.why
    assert CLASH in [event.why for event in heard if isinstance(event, JobChanged)]

    def ask_for_one_more(runner: Runner) -> Value:
        added.wait_for(added.add(steps("clash")))
        runner.sleep(0.3)
        return None

    added, _ = make_job({"clash": clash, "a": ask_for_one_more})
    assert added.run(steps("a")) == "failed"
    assert [step.state for step in added.summary.steps.values()] == ["success", "failed"]


def test_the_directory_of_a_job_tells_what_it_is_and_whether_it_runs(make_job: Maker, tmp_path: Path) -> None:
    jobs = f"{tmp_path}/jobs"
    job, _ = make_job({"a": nothing}, "stack")
    other, _ = make_job({}, "stack")
    job.run(steps("a"))
    assert other.summary.id == "stack-2"
    assert get_job(jobs, "stack").is_running and get_job(jobs, "stack").summary.steps["a"].state == "success"
    job.parts.journal.close()
    assert not get_job(jobs, "stack").is_running
    other.hear(JobChanged("stack-2", "running"))
    other.parts.journal.close()  # as a kill would
    assert get_job(jobs, "stack-2").was_killed
    with pytest.raises(Missing, match="there is stack"):
        get_job(jobs, "none")


def test_a_job_that_ends_while_somebody_looks_was_not_killed(tmp_path: Path) -> None:
    held = Lock(tmp_path / "lock")
    held.acquire()
    os.mkfifo(tmp_path / "job.json")
    found: list[Recorded | None] = []
    looking = threading.Thread(target=lambda: found.append(load_job(str(tmp_path))))
    looking.start()
    summary = JobSummary(id="j", uid="u", state="running")
    with open(tmp_path / "job.json", "wb") as said:  # it is read to the end of this block
        said.write(msgspec.json.encode(summary))
        write_atomic(tmp_path / "job.json", msgspec.json.encode(msgspec.structs.replace(summary, state="success")))
        held.release()
    looking.join()
    assert found[0] is not None and not found[0].was_killed and found[0].summary.state == "success"


def test_only_the_newest_jobs_are_kept(make_job: Maker, tmp_path: Path) -> None:
    jobs = f"{tmp_path}/jobs"
    for number in range(KEPT + 3):
        journal = Journal(jobs, "j")
        job, _ = make_job({}, "j")
        job.summary.created = float(number)
        job.hear(JobChanged(job.summary.id, "success"))
        job.parts.journal.close()
        journal.close()
    kept = [job.summary.created for job in list_jobs(jobs)]
    assert len(kept) == KEPT + 1 and kept[-1] == KEPT + 2
    assert load_job(f"{jobs}/nothing") is None


def test_a_step_that_waits_need_not_begin_and_what_one_began_stops_with_it(make_job: Maker) -> None:
    begun = threading.Event()

    def linger(runner: Runner) -> Value:
        begun.set()
        runner.sleep(3600)
        return None

    plays: dict[str, Play | list[JobStep]] = {"inner": steps("c", "d<c"), "c": linger}
    plays |= {"a": lambda runner: runner.call_module("inner", {}), "b": nothing, "d": nothing, "e": nothing}
    job, _ = make_job(plays)
    after = JobStep(id="e", call="e", after=(After("a", "always"),))
    thread = threading.Thread(target=job.run, args=(steps("a", "b<a", after),))
    thread.start()
    begun.wait(30)
    job.stop_one("b")
    job.stop_one("a")
    thread.join(30)
    assert {id: step.state for id, step in job.summary.steps.items()} == {
        "a": "stopped", "b": "canceled", "e": "success", "c": "stopped", "d": "canceled"
    }  # fmt: skip


def test_one_who_does_not_listen_to_the_stop_is_left_behind(make_job: Maker) -> None:
    begun, released = threading.Event(), threading.Event()

    def deaf(_: Runner) -> Value:
        begun.set()
        released.wait(60)
        return None

    job, _ = make_job({"a": deaf})

    def stop() -> None:
        begun.wait(30)
        job.request_stop()

    threading.Thread(target=stop).start()
    assert job.run(steps("a")) == "stopped"
    assert job.summary.steps["a"].why == LEFT
    released.set()


def test_nothing_is_added_to_a_job_that_is_over(make_job: Maker) -> None:
    job, _ = make_job({"a": nothing})
    job.run(steps("a"))
    with pytest.raises(Missing, match="just ended"):
        job.add(steps("a"))


def test_a_listener_that_breaks_ends_the_job_and_no_step_hangs(make_job: Maker) -> None:
    def breaks(event: object) -> None:
        if isinstance(event, StepSaid):
            raise ValueError("closed")

    plays: dict[str, Play | list[JobStep]] = {
        "a": lambda runner: runner.log("info", "x"),
        "b": lambda runner: runner.sleep(3600),
    }
    job, _ = make_job(plays, listener=breaks)
    with pytest.raises(ValueError, match="closed"):
        job.run(steps("a", "b"))
    assert job.summary.steps["b"].state == "stopped"
