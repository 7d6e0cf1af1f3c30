"""Boxes for tests: each ``yard`` test runs once for every person that the caller can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.boxes import Yard
from support.people import Person, list_people, make_person
from support.probes import compile_probe


@pytest.fixture(scope="session", params=list_people())
def person(request: pytest.FixtureRequest, needs_box: None) -> Iterator[Person]:
    """Root, and an ordinary user."""
    made = make_person(request.param)
    yield made
    made.close()


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> str:
    """What makes the boxes; ``in_both`` runs a test with each."""
    return str(getattr(request, "param", "bwrap"))


@pytest.fixture(scope="session")
def home_yard(person: Person) -> Iterator[Yard]:
    """Has the root that all share."""
    made = Yard(person)
    yield made
    made.close()


@pytest.fixture
def yard(person: Person, backend: str, home_yard: Yard) -> Iterator[Yard]:
    """A place to run boxes in; nothing may be left of a run but what the test asked for."""
    made = Yard(person, home_yard.root, backend)
    yield made
    left = made.leftovers()
    made.close()
    assert not left, f"work directories left behind: {left}"


@pytest.fixture(scope="session")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The attack program, static."""
    return compile_probe("attacks.c", tmp_path_factory.mktemp("attacks") / "attacks", "-static")
