"""``reproduce`` and ``run --rebuild``: what is planted is found, and named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.plots import plot, script
from support.rootfs import make_glibc_root
from support.world import World

# by variation, a line whose output it changes, and no other of the nine does
PLANTED = {
    "time": "date +%s > /o",
    "hostname": "hostname > /o",
    "cpus": "nproc > /o",
    "order": "find /in > /o",
    "locale": "echo ${LC_ALL-none} > /o",
    "umask": "umask > /o",
    "uid": "grep -o 'uid=[0-9]*' /proc/self/mountinfo | sort -u > /o",
    "aslr": "grep stack /proc/self/maps | cut -c 1-12 > /o",
    "path": "stat -f -c '%b %S' / > /o",
}
GRADE = {"hostname": "B", "locale": "B", "umask": "B"}


def planted(line: str) -> dict[str, Any]:
    """A plot with one step that does something it should not, beside one that makes files for it to look at."""
    make = "mkdir /o; for i in 9 2 7 4 1 8 3; do echo $i > /o/file-$i; done"
    return plot(
        {
            "files": script(make, outputs={"o": "/o"}),
            "bad": script(line, "chmod 644 /o", inputs={"/in": "pipe:files:o"}, outputs={"o": "/o"}),
        },
        {"o": "pipe:bad:o"},
    )


def trials(world: World, *args: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any], int]:
    """The trials by variation, the step's summary, and the exit status."""
    done = world.call("--json", "--quiet", "reproduce", *args)
    return {trial["variation"]: trial for trial in done.all("trial")}, done.one("reproduction"), done.exit


def can_vary(name: str) -> bool:
    """Whether this machine and user can."""
    if name == "uid":
        return os.geteuid() == 0
    if name == "cpus":
        return len(os.sched_getaffinity(0)) > 1
    places = {os.stat(place).st_dev for place in ("/dev/shm", "/var/tmp", "/tmp") if os.access(place, os.W_OK)}
    return name not in ("order", "path") or len(places) > 1


@pytest.mark.parametrize("name", PLANTED)
def test_each_planted_nondeterminism_is_found_and_named(box_world: World, name: str) -> None:
    box_world.write("plot.wf", planted(PLANTED[name]))
    found, summary, status = trials(box_world, "plot.wf:bad")
    if not can_vary(name):
        assert found[name]["verdict"] in ("not varied", "same") and found[name]["note"]
        return
    for _ in range(4):  # on a machine so busy that no two of the runs fall into one second, time is never the cause
        if name != "time" or found["control"]["verdict"] == "same":
            break
        found, summary, status = trials(box_world, "plot.wf:bad")
    assert summary["causes"] == [name]
    assert summary["grade"] == GRADE.get(name, "C")
    assert status == (0 if name in GRADE else 1)
    assert found[name]["changes"][0].startswith("o: ~ .  content")
    # both are kept, beside each other
    both = sorted(path.name for path in Path(found[name]["kept"]).iterdir())
    assert both == ["o.again", "o.first"]
    assert {trial["verdict"] for trial in found.values()} <= {"same", "differs", "unclear", "not varied"}


@pytest.mark.both
def test_a_good_step_has_the_best_grade_and_nothing_is_remembered(box_world: World) -> None:
    box_world.write("plot.wf", planted("cat /in/* > /o"))
    _, summary, status = trials(box_world, "plot.wf:bad")
    assert (summary["grade"], summary["causes"], status) == ("A", [], 0)
    memoised = [entry for entry in box_world.run("--json", "log", "--count", "100").all("run") if entry.get("memoised")]
    assert [entry["step"] for entry in memoised] == [["files"]]  # what the step needs, and nothing of the trials
    hits = [line["hit"] for line in box_world.run("--json", "run", "plot.wf").all("finished")]
    assert hits == [True, False]


def test_two_runs_that_a_busy_machine_tears_apart_are_tried_again(box_world: World) -> None:
    """The first two differ, and do not fall into one second; what comes then is the same every time."""
    box_world.write("host/n", "0").chmod(0o666)
    count = "n=$(cat /host/n); echo $((n + 1)) > /host/n; [ $n -ge 2 ] && n=same; [ $n != 0 ] || sleep 1.1"
    step = script(count, "echo $n > /o", inputs={"/host": "mount:rw:host"}, outputs={"o": "/o"})
    box_world.write("plot.wf", plot({"s": step}))
    found, _, _ = trials(box_world, "plot.wf:s", "--variations", "hostname")
    assert found["control"]["verdict"] == "same"


def test_one_that_differs_by_itself_is_said_to(box_world: World) -> None:
    box_world.write("plot.wf", planted("cat /proc/sys/kernel/random/uuid > /o"))
    found, summary, status = trials(box_world, "plot.wf:bad", "--variations", "hostname,aslr")
    assert (summary["grade"], summary["causes"], status) == ("D", [], 1)
    assert (found["control"]["verdict"], found["hostname"]["verdict"]) == ("differs", "unclear")


def test_every_step_is_tried_and_words_are_for_people(box_world: World) -> None:
    box_world.write("plot.wf", planted(PLANTED["hostname"]))
    said = box_world.run("--quiet", "reproduce", "plot.wf", "--variations", "hostname,umask").out
    assert said.count("grade B") == 2
    assert "hostname  differs" in said and "o: ~ .  content" in said
    assert box_world.fail("reproduce", "plot.wf", "--variations", "weather").code == "invalid-argument"
    assert box_world.fail("reproduce", "plot.wf:none").code == "missing"


def test_an_action_that_a_variation_breaks_names_it(box_world: World) -> None:
    box_world.write("plot.wf", planted("test $(hostname) = runc && echo x > /o"))
    found, summary, _ = trials(box_world, "plot.wf:bad", "--variations", "hostname,locale")
    assert (found["hostname"]["verdict"], summary["causes"]) == ("fails", ["hostname"])


@pytest.mark.both
def test_another_date_where_a_preload_works(box_world: World, tmp_path: Path) -> None:
    root = make_glibc_root(tmp_path / "glibc", ["date", "sh", "mkdir"])
    ware = box_world.run("ware", "pack", root).out.strip()
    year = script("date +%Y > /o", outputs={"o": "/o"})
    box_world.write("plot.wf", plot({"bad": year}, inputs={"rootfs": f"ware:{ware}"}))
    found, summary, _ = trials(box_world, "plot.wf", "--variations", "time,locale")
    assert "2031" in found["time"]["note"]
    assert summary["causes"] == ["time"]
    # even what changes with every nanosecond is laid to the date
    moment = script("date +%N > /o", outputs={"o": "/o"})
    box_world.write("plot.wf", plot({"bad": moment}, inputs={"rootfs": f"ware:{ware}"}))
    found, summary, _ = trials(box_world, "plot.wf", "--variations", "time,locale")
    assert (found["control"]["verdict"], summary["causes"]) == ("differs", ["time"])


def test_rebuild_compares_and_the_memo_stays_with_the_first(box_world: World) -> None:
    """Z03: exit 1, ware-mismatch, the files that differ named, both kept."""
    box_world.write("plot.wf", planted("mkdir /o; cat /proc/sys/kernel/random/uuid > /o/id; echo same > /o/same"))
    first = box_world.run("--json", "--quiet", "run", "plot.wf").one("plotresults")
    failed = box_world.fail("run", "--rebuild", "plot.wf")
    assert (failed.exit, failed.code) == (1, "ware-mismatch")
    details = failed.causes[-1]["details"]
    assert details["files"].startswith("o: ~ id  content") and "same" not in details["files"]
    assert (details["expected"], details["reason"]) == (first["o"].removeprefix("ware:"), "rebuild")
    kept = {path.name: path for path in Path(details["kept"]).iterdir()}
    assert sorted(kept) == ["o.again", "o.first"]
    box_world.run("store", "gc")
    again = box_world.run("ware", "scan", "--packtype", "ztar", kept["o.again"]).out.split()
    assert details["actual"] in again
    assert box_world.run("--json", "--quiet", "run", "plot.wf").one("plotresults") == first
    entry = next(entry for entry in box_world.run("--json", "log").all("run") if entry["step"] == ["bad"])
    assert (entry["error"], entry.get("memoised", False)) == ("warpforge-error-ware-mismatch", False)


def test_rebuild_of_what_is_the_same_succeeds_and_runs_everything(box_world: World) -> None:
    box_world.write("plot.wf", planted("cat /in/* > /o"))
    before = box_world.run("--json", "--quiet", "run", "--rebuild", "plot.wf").one("plotresults")
    ran = box_world.run("--json", "run", "--rebuild", "plot.wf")
    assert [line["hit"] for line in ran.all("finished")] == [False, False]
    assert ran.one("plotresults") == before


@pytest.mark.both
def test_rebuild_sees_what_a_tar_id_does_not_cover(box_world: World) -> None:
    line = "mkdir /o; ln -s $(cat /proc/sys/kernel/random/uuid) /o/link"
    box_world.write("plot.wf", plot({"s": script(line, outputs={"o": {"from": "/o", "packtype": "tar"}})}))
    box_world.run("run", "plot.wf")
    failed = box_world.fail("run", "--rebuild", "plot.wf")
    assert (failed.exit, failed.code, failed.causes[-1]["details"]["reason"]) == (1, "ware-mismatch", "symlinks")


def test_rebuild_with_keep_going_finds_every_difference(box_world: World) -> None:
    line = "cat /proc/sys/kernel/random/uuid > /o"
    steps = {name: script(f"{line}; echo {name} >> /o", outputs={"o": "/o"}) for name in "ab"}
    box_world.write("plot.wf", plot({**steps, "good": script("echo x > /o", outputs={"o": "/o"})}))
    box_world.run("run", "plot.wf")
    failed = box_world.fail("run", "--rebuild", "--keep-going", "plot.wf")
    assert [found["step"] for found in json.loads(failed.error["details"]["failures"])] == ["a", "b"]


def test_one_step_is_tried_although_another_fails(box_world: World) -> None:
    good = script("echo x > /o", outputs={"o": "/o"})
    box_world.write("plot.wf", plot({"good": good, "bad": script("exit 1")}))
    _, reproduction, status = trials(box_world, "--variations", "hostname", "plot.wf:good")
    assert reproduction["step"] == "good" and reproduction["grade"] == "A" and status == 0
    assert box_world.fail("reproduce", "--variations", "hostname", "plot.wf").code == "formula-execution-failed"
