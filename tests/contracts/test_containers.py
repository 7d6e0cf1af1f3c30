"""What the containers of a job promise, whatever makes their boxes."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox.test_attacks import ALLOWED, OTHERWISE
from support.containers import Yard, YardJob, refuses, until, web
from support.places import free_port
from support.probes import compile_probe

from warpforge.errors import Failed, Invalid, Missing, Unable
from warpforge.polytope.containers.datasets import Datasets
from warpforge.polytope.containers.volumes import Volumes, volumes_of
from warpforge.polytope.events import ContainerChanged, ServiceChanged
from warpforge.polytope.spec import (
    DatasetSource,
    EnvVar,
    HostSource,
    Mount,
    RepoSource,
    Resources,
    Restart,
    Scaling,
    Sink,
    StringSource,
    VolumeSource,
)
from warpforge.sandbox.visit import Company, Visit, execute

pytestmark = pytest.mark.both
SERVE = "exec httpd -f -p 8080 -h /srv"


@pytest.fixture(scope="module", params=["bwrap", "runc"])
def yard(request: pytest.FixtureRequest, needs_box: None, tmp_path_factory: pytest.TempPathFactory) -> Yard:
    return Yard(tmp_path_factory.mktemp("yard"), request.param)


@pytest.fixture(scope="module")
def job(yard: Yard) -> Iterator[YardJob]:
    made = yard.open()
    yield made
    made.close()


def fetch(port: int) -> str:
    with urllib.request.urlopen(f"http://localhost:{port}/index.html") as answer:
        return str(answer.read().decode())


def test_a_service_is_reached_by_its_name_by_its_container_and_from_the_host(job: YardJob) -> None:
    port = free_port()
    container = job.serve(SERVE, web("api", port), id="back-end", tty=True)
    assert fetch(port) == "hello\n"
    status, said = job.run("for n in api back-end API; do wget -q -O - http://$n:8080/index.html; done")
    assert (status, said) == (0, ["hello"] * 3)
    assert job.boxes.service_address("api", 0) == ("127.0.0.1", port)
    assert job.boxes.await_service("api", 8080, 5)
    job.boxes.stop(container)
    assert job.states(container)[-2:] == ["stopping", "exited"]
    assert refuses(port)


def test_env_and_cwd_are_the_images_unless_it_is_said_otherwise(job: YardJob) -> None:
    script = "pwd; echo $FROM $MORE; id -un; hostname; cat /conf"
    mounts = (Mount("/conf", StringSource("text")),)
    status, said = job.run(script, id="who", env=(EnvVar("MORE", "more"),), mounts=mounts)
    assert (status, said) == (0, ["/srv", "image more", "root", "who", "text"])
    assert job.run("", cmd=None)[1] == ["default"]
    assert job.run("pwd", workdir="/tmp", env=(EnvVar("FROM", "us"),))[1] == ["/tmp"]


def test_a_secret_is_not_in_what_it_says(job: YardJob) -> None:
    _, said = job.run("echo it is $S", env=(EnvVar("S", "hunter2", is_secret=True),))
    assert said == ["it is ********"]


def test_it_starts_again_as_its_policy_says_with_what_it_wrote(job: YardJob) -> None:
    status, said = job.run("echo x >> /n; cat /n | wc -l; exit 4", id="again", restart=Restart("on-failure", 2))
    assert (status, said) == (4, ["1", "2", "3"])
    assert job.states("again").count("restarting") == 2
    assert job.run("exit 0", restart=Restart("on-failure", 2)) == (0, [])


def test_one_that_dies_at_once_is_not_waited_for(job: YardJob) -> None:
    container = job.serve("echo no; exit 9", web("dead", free_port()))
    assert job.boxes.await_exited(container) == 9


def test_what_cannot_be_executed_says_so(job: YardJob) -> None:
    status, said = job.run("", cmd=("no-such-program",))
    assert status == 127
    assert "no-such-program" in said[0]


def test_a_user_that_its_image_has_not(job: YardJob) -> None:
    container = job.boxes.spawn(job.spec("true", user="nobody-here"))
    with pytest.raises((Invalid, Unable)) as caught:
        job.boxes.await_exited(container)
    if isinstance(caught.value, Unable):  # nobody but uid 0 can be had here
        assert caught.value.reason == "userinfo" and "runc" in str(caught.value)
    else:
        assert f"container {container}: " in str(caught.value) and "no user nobody-here" in str(caught.value)


def test_an_image_that_is_not_there(job: YardJob, tmp_path: Path) -> None:
    container = job.boxes.spawn(job.spec("true", image=str(tmp_path / "nothing")))
    with pytest.raises(Missing, match="no such image"):
        job.boxes.await_started(container)
    assert job.states(container)[-1] == "failed"


def test_who_answers_is_heard_out(job: YardJob) -> None:
    answer = "printf 'HTTP/1.0 200 OK\\r\\n\\r\\n'; head -c 900000 /dev/zero && touch /tmp/whole"
    mounts = (Mount("/answer", StringSource(answer)),)
    script = (
        "nc -l -p 8080 -e sh /answer; for n in $(seq 900); do test -e /tmp/whole && break; usleep 9999; done; ls /tmp"
    )
    container = job.serve(script, web("talker", free_port()), mounts=mounts)
    assert job.boxes.await_exited(container) == 0 and job.said(container) == ["whole"]


def test_it_is_told_in_order_what_becomes_of_it_and_before_who_waits_goes_on(job: YardJob) -> None:
    service = web("heir", free_port())
    job.dawdling = 0.05
    try:
        for status in (7, 8):  # the second has the service's name and port at once
            container = job.boxes.spawn(job.spec(f"exit {status}"))
            job.boxes.open_service(container, service)
            assert job.boxes.await_exited(container) == status
            assert job.states(container)[-1] == "exited"
        early = job.boxes.spawn(job.spec("exec sleep 1h"))
        job.boxes.stop(early)
        assert job.states(early)[-2:] == ["stopping", "exited"]
    finally:
        job.dawdling = 0.0


def test_what_follows_from_an_end_has_come_when_a_job_is_closed(yard: Yard) -> None:
    job = yard.open()
    ends = "httpd -p 8080 -h /srv; until test -e /tmp/end; do usleep 9999; done"
    container = job.serve(ends, web("brief", free_port()))
    job.boxes.write_file(container, "/tmp/end", b"")
    assert job.boxes.await_exited(container) == 0
    job.close()
    assert [event.state for event in job.events if isinstance(event, ServiceChanged)][-1] == "stopped"


def test_one_that_never_answers(yard: Yard) -> None:
    job = yard.open(ready=0.5)
    try:
        with pytest.raises(Failed) as caught:
            job.serve("sleep 60", web("mute", free_port()))
        assert caught.value.reason == "not-ready"
        with pytest.raises(Missing):
            job.boxes.service_address("mute", 0)
    finally:
        job.close()


def test_ports_that_clash_are_named(job: YardJob) -> None:
    port = free_port()
    container = job.serve(SERVE, web("first", port))
    with pytest.raises(Invalid) as both:
        job.boxes.open_service(container, web("second", port))
    assert (both.value.reason, both.value.details["other"], both.value.details["service"]) == (
        "port-clash",
        "first",
        "second",
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Unable) as caught:
            job.boxes.open_service(container, web("third", taken.getsockname()[1]))
    assert caught.value.reason == "port-in-use"
    assert f"(pid {os.getpid()})" in caught.value.message
    job.boxes.stop(container)


def test_replicas_stand_behind_one_name_in_turn(job: YardJob) -> None:
    port = free_port()
    script = "hostname > /srv/index.html; exec httpd -f -p 8080 -h /srv"
    container = job.serve(script, web("many", port), id="many", scaling=Scaling(3, 3))
    until(lambda: len(job.boxes._get(container).addresses) == 3)
    until(lambda: {fetch(port) for _ in range(3)} == {"many\n", "many-1\n", "many-2\n"})
    script = "for n in 1 2 3; do wget -q -O - http://many:8080/index.html; done"
    assert sorted(job.run(script)[1]) == ["many", "many-1", "many-2"]
    told = [one for one in job.events if isinstance(one, ContainerChanged) and one.container == container]
    assert (told[-1].state, told[-1].boxes, told[-1].up) == ("running", 3, 3)
    job.boxes.stop(container)


def tell_until_it_has_ended(company: Company) -> None:
    while not company._has_ended:
        company.signal(0)


def test_company_and_files_of_a_running_one(job: YardJob) -> None:
    container = job.boxes.spawn(job.spec("exec sleep 60", env=(EnvVar("A", "1"),)))
    job.boxes.await_started(container)
    assert job.boxes.exec(container, ["sh", "-c", "echo $A $B; ps | grep -c sleep.60; exit 5"], {"B": "2"}) == 5
    assert job.said(container)[0] == "1 2"
    job.boxes.write_file(container, "/srv/new", b"new")
    assert job.boxes.read_file(container, "/srv/new") == b"new"
    null = os.open(os.devnull, os.O_RDWR)
    company = job.boxes.enter(container, Visit(["sh", "-c", "sleep 0.1; exit 7"], stdio=[null] * 3))
    teller = threading.Thread(target=tell_until_it_has_ended, args=(company,))
    teller.start()
    assert company.wait() == 7  # though it ended without having heard all that it was told
    teller.join()
    os.close(null)
    names = {entry["name"]: entry["type"] for entry in job.boxes.list_files(container, "/srv")}
    assert names == {"index.html": "file", "new": "file"}
    with pytest.raises(Missing):
        job.boxes.read_file(container, "/srv/nothing")
    with pytest.raises(Missing):
        job.boxes.exec(container, ["nothing"], {})
    resident = job.boxes._get(container).resident_box().resident
    assert resident is not None
    job.boxes.stop(container)
    with pytest.raises(Unable) as caught:  # somebody who found it before
        execute(resident, Visit(["true"]), lambda stream, data: None)
    assert caught.value.reason == "ended"
    with pytest.raises(Failed):
        job.boxes.exec(container, ["true"], {})


def test_company_is_whom_it_was_asked_to_be_where_it_was_asked_to_be(job: YardJob) -> None:
    container = job.boxes.spawn(job.spec("exec sleep 60"))
    job.boxes.await_started(container)

    def enter(user: str = "", workdir: str = "") -> str:
        with tempfile.TemporaryFile() as out:
            say = ["sh", "-c", "echo $(id -u) $(id -G) $HOME $PWD"]
            visit = Visit(say, user=user, workdir=workdir, stdio=[out.fileno()] * 3)
            assert job.boxes.enter(container, visit).wait() == 0
            out.seek(0)
            return out.read().decode().strip()

    assert enter(workdir="/tmp") == enter(user="root", workdir="/tmp") == "0 0 /root /tmp"
    for asked in ({"user": "nobody-here"}, {"user": "web:none"}, {"workdir": "/none"}):
        with pytest.raises(Missing) as none:
            enter(**asked)
        assert none.value.reason in asked
    try:
        assert enter(user="web") == "101 102 200 /srv /srv" and enter(user="7:8", workdir="..") == "7 8 / /"
    except Unable as one:  # who has but one uid
        assert one.reason == "one-uid"
    with pytest.raises(Failed) as denied:
        job.boxes.exec(container, ["/etc/passwd"], {})
    assert denied.value.reason == "command"
    job.boxes.stop(container)


def test_one_that_has_not_begun_can_be_stopped(yard: Yard) -> None:
    job = yard.open()
    try:
        with job.boxes._in_store:
            container = job.boxes.spawn(job.spec("sleep 60"))
            job.boxes.stop(container)
            assert job.states(container)[-1] == "exited"
        assert job.boxes.await_exited(container) == 0
    finally:
        job.close()


def test_without_its_network_a_job_still_ends(yard: Yard) -> None:
    job = yard.open()
    container = job.boxes.spawn(job.spec("sleep 60"))
    job.boxes.await_started(container)
    os.kill(job.boxes._network._keeper.pid, signal.SIGKILL)
    job.boxes.stop(container)
    assert job.boxes.await_exited(container) in (137, 143)
    job.close()


def test_it_is_asked_to_end_before_it_is_killed(yard: Yard, job: YardJob) -> None:
    kind = job.boxes.spawn(job.spec("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"))
    until(lambda: job.said(kind), pause=0.001)  # often before anybody is told that it runs
    job.boxes.stop(kind)
    assert (job.boxes.await_exited(kind), job.said(kind)) == (3, ["up", "bye"])
    other = yard.open(grace=0.3)
    deaf = other.boxes.spawn(other.spec("trap '' TERM; echo up; while :; do sleep 0.05; done"))
    until(lambda: other.said(deaf))
    other.close()
    assert other.boxes.await_exited(deaf) == 137


def refuse_to_remove(path: Path) -> None:
    raise AssertionError(path)


def test_volumes_live_as_long_as_their_scope(yard: Yard, job: YardJob) -> None:
    mine, ours = Mount("/mine", VolumeSource("v")), Mount("/ours", VolumeSource("v", "project"))
    write = "echo x >> /mine/f; echo x >> /ours/f; cat /mine/f | wc -l; cat /ours/f | wc -l"
    assert job.run(write, mounts=(mine, ours))[1] == ["1", "1"]
    assert job.run(write, mounts=(mine, ours))[1] == ["2", "2"]
    other = yard.open()
    try:
        assert other.run(write, mounts=(mine, ours))[1] == ["1", "3"]
        new = Mount("/ours", VolumeSource("v", "project", "always"))
        assert other.run("ls /ours", mounts=(new,)) == (0, [])
        with pytest.raises(Missing, match="no volume w"):
            other.run("true", mounts=(Mount("/w", VolumeSource("w", "project", "never")),))
        with pytest.raises(Unable, match=f"volume v-2 is used .* {os.getpid()}"):
            Volumes(volumes_of(yard.path / "project"), yard.path, refuse_to_remove).remove("v-2")
    finally:
        other.close()
    names = sorted(os.listdir(yard.path / "project" / ".warpforge" / "volumes"))
    assert names == ["v", "v-2"]


def test_what_is_the_hosts_stays_the_hosts(job: YardJob, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "f").write_text("host\n")
    mounts = (Mount("/host", HostSource(str(tmp_path))), Mount("/host/more", StringSource("more")))
    assert job.run("cd /host; cat f; cat more; stat -c %u f; echo new > g", mounts=mounts)[1] == ["host", "more0"]
    assert (tmp_path / "g").stat().st_uid == os.geteuid()
    assert sorted(os.listdir(tmp_path)) == ["f", "g"]
    with pytest.raises(Missing, match="nothing to mount"):
        job.run("true", mounts=(Mount("/host", HostSource(str(tmp_path / "none"))),))


def test_a_repository_is_a_checkout_or_is_fetched(yard: Yard, job: YardJob) -> None:
    pages = yard.path / "pages"
    if not pages.exists():
        git = ["git", "-C", str(pages), "-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "init", "-q", str(pages)], check=True)
        (pages / "page").write_text("committed\n")
        subprocess.run([*git, "add", "page"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "a page"], check=True)
        (pages / "page").write_text("as it stands\n")
    sources = (RepoSource("page", "o/pages"), RepoSource("page", "o/pages", "HEAD"), RepoSource("", f"file://{pages}"))
    mounts = tuple(Mount(f"/in{number}", source) for number, source in enumerate(sources))
    said = job.run("cat /in0 /in1 /in2/page; echo mine > /in2/page", mounts=mounts)
    assert said == (0, ["as it stands", "committed", "committed"])
    assert job.run("cat /in/page", mounts=(Mount("/in", sources[2]),)) == (0, ["committed"])


def test_boxes_scale_with_what_they_use(job: YardJob) -> None:
    little = Resources(cpu_request=0.02)
    container = job.boxes.spawn(job.spec("while :; do :; done", scaling=Scaling(1, 2), resources=little))
    until(lambda: len(job.boxes._get(container).addresses) == 2)
    job.boxes.stop(container)


def test_a_new_volume_begins_as_the_image_or_its_source(job: YardJob, tmp_path: Path) -> None:
    (tmp_path / "seed").mkdir()
    (tmp_path / "seed" / "f").write_text("seed\n")
    source = VolumeSource("seeded", "project", "when-missing", HostSource(str(tmp_path / "seed")))
    mounts = (Mount("/srv", VolumeSource("page")), Mount("/seeded", source))
    assert job.run("cat index.html /seeded/f", mounts=mounts)[1] == ["hello", "seed"]


def test_what_it_leaves_becomes_a_version_of_a_dataset(yard: Yard, job: YardJob) -> None:
    sink = (Sink("/out", "data"),)
    volume = job.boxes.spawn(
        job.spec("echo v > /v/f", datasets=(Sink("/v", "w"),), mounts=(Mount("/v", VolumeSource()),))
    )
    assert job.boxes.await_exited(volume) == 0
    assert job.boxes.store_dataset(volume, "/v", "w") == 1
    assert job.run("cat /w", mounts=(Mount("/w", DatasetSource("w", "f")),))[1] == ["v"]
    for number in (1, 2):
        container = job.boxes.spawn(job.spec(f"mkdir /out; echo {number} > /out/f", datasets=sink))
        assert job.boxes.await_exited(container) == 0
        assert job.boxes.store_dataset(container, "/out", "data") == number
    script = "trap '' TERM; mkdir /out /more; echo deaf; until test -e /tmp/end; do usleep 9999; done"
    stopped = job.boxes.spawn(job.spec(script, datasets=(Sink("/more", "more"), *sink)))
    job.boxes.await_started(stopped)
    until(lambda: job.said(stopped))  # by now it hears no SIGTERM
    resident = job.boxes._get(stopped).resident_box().resident
    assert resident is not None
    with job.boxes._in_store:  # nothing is kept meanwhile
        job.boxes.write_file(stopped, "/tmp/end", b"")
        for _ in range(25):
            resident.signal(signal.SIGTERM)
            time.sleep(0.02)
    assert job.boxes.await_exited(stopped) == 0 and {"/more", "/out"} == {*job.boxes._get(stopped).kept}
    mounts = (Mount("/new", DatasetSource("data")), Mount("/old", DatasetSource("data", "f", 1)))
    assert job.run("cat /new/f /old", mounts=mounts)[1] == ["2", "1"]
    with pytest.raises(Missing, match="left nothing"):
        job.boxes.store_dataset(container, "/other", "data")
    kept = {str(ware) for _, ware in job.engine.store.kept.pins()}
    assert {str(version.ware) for version in Datasets(yard.path / "project", job.engine.store).versions("data")} <= kept


def test_one_of_many_uids_becomes_whom_it_likes(job: YardJob, yard: Yard, tmp_path: Path) -> None:
    if job.boxes._ids is None:
        # an ordinary user without a range in /etc/subuid: runc's boxes go on as root, and need not know
        if yard.backend == "runc":
            assert job.run("touch /f; chown web /f; su web -c 'id -u'") == (0, ["0"])
            return
        tmp_path.joinpath("f").touch()
        mounts = (Mount("/host", HostSource(str(tmp_path))), Mount("/v", VolumeSource("said", create="always")))
        compile_probe("chowns.c", tmp_path / "chowns", "-static")
        ways = ("/proc/1", "/proc/self/../1", "/proc/self/root/proc/1", "/proc/self/task/../../1", "1")
        outside = " ".join(f"{way}/root{tmp_path}/f" for way in ways)
        script = f"""id -u; touch /f /v/f; chown 101:102 /f /v/f /host/f; stat -c '%u %g' /f /srv /v/f
            cd /proc; /host/chowns {outside} || echo "not $?"; cd /
            chown web /proc/self/fd/1 /dev/stdout; chown web /none 2> /dev/null || echo none
            su web -c 'id; touch /new; stat -c %u /new /f /etc/passwd; chown 0 /new 2> /dev/null || echo refused'
            su web -c 'su -c id' 2> /dev/null || echo 'is not root'; mv /v/f /v/g; stat -c '%u %g' /v/g"""
        me = "uid=101(web) gid=102(web) groups=102(web),200(more)"
        said = [
            "0",
            "101 102",
            "101 102",
            "101 102",
            "none",
            me,
            "101",
            "101",
            "0",
            "refused",
            "is not root",
            "101 102",
        ]
        assert job.run(script, mounts=mounts) == (0, said)
        assert os.listxattr(tmp_path / "f") == []
        return
    script = "id -u; touch /f; chown 101:102 /f; stat -c '%u %g' /f /srv"
    assert job.run(script)[1] == ["0", "101 102", "101 102"]
    assert job.run("id; touch /srv/mine", user="web") == (0, ["uid=101(web) gid=102(web) groups=200(more)"])
    assert job.run("id -u; id -g", user="web:root")[1] == ["101", "0"]
    assert job.run("su web -c 'id -u; touch /srv/hers /root' 2>&1")[1][0] == "101"


def test_it_has_no_more_than_its_resources(job: YardJob) -> None:
    limits = Resources(cpu_limit=0.5, memory_limit=16 << 20)
    assert job.run("nproc", resources=limits) == (0, ["1"])
    status, _ = job.run("head -c 40m /dev/zero | tail -c 30m | wc -c", resources=limits)
    assert status == 137


def test_nothing_gets_out_of_it_though_it_has_many_uids(job: YardJob, tmp_path: Path) -> None:
    attacks = compile_probe("attacks.c", tmp_path / "attacks", "-static")
    mounts = (Mount("/attacks", HostSource(str(attacks))), Mount("/in", VolumeSource("attacked")))
    with socket.socket(socket.AF_UNIX) as listener, socket.create_server(("127.0.0.1", 0)) as server:
        name = f"warpforge-test-{os.getpid()}"
        listener.bind(f"\0{name}")
        listener.listen()
        status, said = job.run(f"exec /attacks {name} {server.getsockname()[1]} stay", mounts=mounts)
    tried = {line.split()[0]: int(line.split()[1]) for line in said}
    assert (status, len(tried) > 50) == (0, True)
    otherwise = {**OTHERWISE, "setuid": {0}}
    allowed = {name: {0} for name in ALLOWED}
    wrong = {name: got for name, got in tried.items() if got not in {**otherwise, **allowed}.get(name, {errno.EPERM})}
    assert not wrong
    _, said = job.run(f"ls /proc | grep -c '^[0-9]*$'; kill -0 {os.getpid()} 2>/dev/null || echo no")
    assert int(said[0]) < 6, "a number of processes"
    assert said[1:] == ["no"]


def test_what_is_unconfined_may_do_a_little_more(job: YardJob, tmp_path: Path) -> None:
    attacks = compile_probe("attacks.c", tmp_path / "attacks", "-static").read_bytes()
    container = job.boxes.spawn(job.spec("exec sleep 60", is_unconfined=True))
    job.boxes.await_started(container)
    job.boxes.write_file(container, "/attacks", attacks)
    job.boxes.exec(container, ["sh", "-c", "chmod 755 /attacks; exec /attacks x 1 stay"], {})
    tried = {line.split()[0]: int(line.split()[1]) for line in job.said(container)}
    assert (tried["personality"], tried["mount-tmpfs"], tried["unshare-user"]) == (0, errno.EPERM, errno.EPERM)
    job.boxes.stop(container)


def test_an_id_that_is_taken_has_a_number_appended(job: YardJob) -> None:
    first = job.boxes.spawn(job.spec("sleep 60", id="same"))
    assert job.boxes.spawn(job.spec("true", id="same")) == "same-2"
    assert job.boxes.spawn(job.spec("true", id="same", create="when-missing")) == first
    with pytest.raises(Missing):
        job.boxes.spawn(job.spec("true", id="other", create="never"))
    job.boxes.stop(first)


def hold(path: str, image: str, backend: str, port: int) -> None:
    """What a job does whose process will be killed."""
    yard = Yard.__new__(Yard)
    yard.path, yard.image, yard.backend = Path(path), image, backend
    job = yard.open()
    mounts = (Mount("/v", VolumeSource("v")),)
    job.serve("echo x > /v/f; exec httpd -f -p 8080 -h /srv", web("held", port), mounts=mounts)
    print("up", flush=True)
    signal.pause()


def test_all_is_over_when_its_process_is_killed(yard: Yard) -> None:
    port = free_port()
    arguments = (str(yard.path), yard.image, yard.backend, port)
    words = f"from contracts.test_containers import hold; hold{arguments!r}"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert fetch(port) == "hello\n"
        process.kill()

    until(lambda: refuses(port))
    tmp = yard.path / "project" / ".warpforge" / "tmp"
    before = {path.name for path in tmp.iterdir()}
    assert before
    job = yard.open()
    try:
        assert job.serve(SERVE, web("held", port))
        dead = [name for name in before if name.startswith(f"{process.pid}-")]
        assert dead
        assert not any((tmp / name).exists() for name in dead)
    finally:
        job.close()
