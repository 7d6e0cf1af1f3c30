"""Kept wares: those that a person said shall stay, each under a name. Truth.

``pins/<name>`` holds one WareId. (The pins of running processes are another thing: ``roots/``.)
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from warpforge.errors import Invalid, Missing
from warpforge.fsx.atomic import fsync_dir, make_dirs, write_atomic
from warpforge.model.atoms import WareId

from .finding import corrupt, storing
from .layout import Layout, file_name
from .staging import Staging

NAME: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.+~]{0,126}\Z")


class Kept:
    """The pins of a store, by name."""

    def __init__(self, layout: Layout, staging: Staging) -> None:
        self._directory = layout.pins
        self._staging = staging

    def pin(self, ware: WareId, name: str = "") -> str:
        """Keep a ware under a name (without one: after its id); a name that is taken changes its ware.

        Errors: ``invalid-argument``, ``store``.
        """
        if name and not NAME.match(name):
            raise Invalid("invalid-argument", f"{name!r} cannot be the name of a pin: letters, digits and -_.+~")
        name = name or file_name(f"{ware.packtype}-{ware.hash}")
        with storing(f"cannot pin {ware}"):
            make_dirs(self._directory)
            write_atomic(os.path.join(self._directory, name), f"{ware}\n".encode(), staging=self._staging.directory())
        return name

    def unpin(self, what: str) -> list[str]:
        """Give up the pin of this name, or all of this WareId; gives their names. Errors: ``missing``, ``store``."""
        names = [name for name, ware in self.pins() if what in (name, str(ware))]
        if not names:
            raise Missing("missing", f"nothing is pinned as {what}: `warpforge ware pin` lists what is", what=what)
        with storing(f"cannot unpin {what}"):
            for name in names:
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._directory, name))
            fsync_dir(self._directory)
        return names

    def pins(self) -> Iterator[tuple[str, WareId]]:
        """Every name with its ware, sorted. Errors: ``store`` (corrupt, io)."""
        try:
            names = sorted(os.listdir(self._directory))
        except FileNotFoundError:
            return
        except OSError as error:
            with storing("cannot list the pins"):
                raise error
        for name in names:
            path = os.path.join(self._directory, name)
            with storing(f"cannot read the pin {name}"):
                try:
                    with open(path, "rb") as file:
                        text = file.read(1024)
                except FileNotFoundError:
                    continue  # unpinned meanwhile
            try:
                line, newline, rest = text.decode("ascii").partition("\n")
                ware = WareId.parse(line)
            except ValueError:
                raise corrupt(f"the pin {name}", path) from None
            if not newline or rest:
                raise corrupt(f"the pin {name}", path)
            yield name, ware
