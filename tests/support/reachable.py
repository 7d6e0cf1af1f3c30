"""A directory that any user can reach: pytest's own are closed to everybody else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.people import Person, make_person
from warpforge.fsx.remove import remove_tree


@contextmanager
def reachable(name: str) -> Iterator[tuple[Person, Path]]:
    """A person, and an empty directory of that person's."""
    person = make_person(name)
    path = Path(tempfile.mkdtemp(prefix="reach-"))
    path.chmod(0o755)
    own = path / "own"
    own.mkdir(0o755)
    os.chown(own, person.uid, -1)
    try:
        yield person, own
    finally:
        person.close()
        fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            remove_tree(fd, path.name)
        finally:
            os.close(fd)
