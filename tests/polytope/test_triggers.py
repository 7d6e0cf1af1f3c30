"""What makes triggers begin, seen by looking at chosen times at a real repository."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from warpforge.errors import Invalid
from warpforge.polytope.containers.repository import find_repository, read_refs
from warpforge.polytope.nouns import On, Trigger
from warpforge.polytope.triggers.triggers import Memory, check_triggers, load_memory, look, next_time, save_memory

NOON = datetime(2026, 5, 4, 12, 0)
HOURLY = Trigger(id="hourly", on=(On(schedule="0 * * * *"),), template="t")


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def test_a_schedule_is_due_once_when_its_time_has_come() -> None:
    first = look([HOURLY], Memory(), NOON - minutes(1), None)
    assert not first.due and not first.missed
    second = look([HOURLY], first.memory, NOON + timedelta(seconds=2), None)
    assert [due.time for due in second.due] == [NOON]
    assert not look([HOURLY], second.memory, NOON + timedelta(seconds=4), None).due
    assert next_time([HOURLY], NOON) == NOON + minutes(60)


def test_what_was_missed_is_said_and_not_made_up_for(tmp_path: Path) -> None:
    save_memory(f"{tmp_path}/state/triggers.json", look([HOURLY], Memory(), NOON - minutes(1), None).memory)
    memory = load_memory(f"{tmp_path}/state/triggers.json")
    found = look([HOURLY], memory, NOON + minutes(180), None)
    assert [due.time for due in found.due] == [NOON + minutes(180)]
    assert [(missed.first, missed.last, missed.times) for missed in found.missed] == [(NOON, NOON + minutes(120), 3)]


def test_a_clock_that_was_put_back_repeats_nothing() -> None:
    memory = look([HOURLY], Memory(), NOON + minutes(1), None).memory
    back = look([HOURLY], memory, NOON - minutes(30), None)
    assert not look([HOURLY], back.memory, NOON + minutes(1), None).due


def test_a_memory_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text('{"looked": "yesterday"}')
    assert load_memory(f"{tmp_path}/bad") == load_memory(f"{tmp_path}/none") == Memory()


def test_events_are_what_changed_between_two_looks(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        quiet = {"GIT_CONFIG_GLOBAL": "/dev/null", "PATH": "/usr/bin:/bin"}
        who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", *who, *words], cwd=tmp_path / "repo", check=True, capture_output=True, env=quiet)

    (tmp_path / "repo/deep").mkdir(parents=True)
    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "first")
    git("branch", "old")
    repository = find_repository(f"{tmp_path}/repo/deep")
    every = tuple(f"git-{kind}-{what}" for kind in ("branch", "tag") for what in ("added", "updated", "deleted"))
    trigger = Trigger(id="any", on=(On(events=every),), template="t")

    memory = look([trigger], Memory(), NOON, read_refs(repository, tmp_path / "bare")).memory
    git("commit", "-q", "--allow-empty", "-m", "second")
    git("branch", "-D", "old")
    git("tag", "-a", "-m", "one", "v1")
    found = look([trigger], memory, NOON, read_refs(repository, tmp_path / "bare"))
    happened = [due.happening for due in found.due if due.happening]
    assert [(one.type, one.name) for one in happened] == [
        ("git-branch-updated", "main"),
        ("git-branch-deleted", "old"),
        ("git-tag-added", "v1"),
    ]
    assert happened[0].after == happened[2].after != happened[0].before  # a tag is what it leads to
    assert not look([trigger], found.memory, NOON, None).due  # it could not be read just now
    assert not look([trigger], found.memory, NOON, read_refs(repository, tmp_path / "bare")).due


def test_what_can_never_happen_is_said_at_once() -> None:
    assert "pr-created" in check_triggers([Trigger(id="a", on=(On(events=("pr-created",)),))])[0]
    for on in (On(schedule="61 * * * *"), On(events=("git-moon-added",))):
        with pytest.raises(Invalid, match=r"61|git-moon-added"):
            check_triggers([Trigger(id="a", on=(on,))])
