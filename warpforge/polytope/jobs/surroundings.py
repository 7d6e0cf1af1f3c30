"""The project around a job: its directory, its repository, and what is stored for it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from warpforge.errors import Missing
from warpforge.polytope.containers.checkouts import Checkouts
from warpforge.polytope.files.library import repository_of
from warpforge.polytope.hermetic.relay import Relay
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Runner
from warpforge.polytope.spec import HostSource, RepoSource, Source

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.polytope.jobs.stores import Layers


class Surroundings:
    """``engine``: asked for only when a repository is fetched, or an image is built; it tells ``relay``. ``checkout``:
    of a repository by its name. Values and secrets are texts at rest; a value that is none is kept as JSON."""

    def __init__(
        self,
        path: str,
        stores: Layers,
        engine: Callable[[], Engine],
        relay: Relay,
        checkout: Callable[[str], str | None],
    ) -> None:
        self.path = path
        self._checkouts = Checkouts(checkout, engine)
        self._stores = stores
        self._engine = engine
        self._relay = relay
        self._pinning = threading.Lock()

    def get_value(self, key: str) -> Value:
        return self._stores.value(key)

    def set_value(self, key: str, value: Value) -> None:
        self._stores.set_value(key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))

    def get_secret(self, key: str) -> str | None:
        return self._stores.secret(key)

    def set_secret(self, key: str, value: str) -> None:
        self._stores.set_secret(key, value)

    def read_repo_file(self, repo: str, path: str) -> str:
        root = os.path.realpath(self._checkouts.find(repo) if repo else self._repository())
        found = os.path.realpath(os.path.join(root, path.lstrip("/")))
        if os.path.commonpath([root, found]) != root:
            raise Missing("missing", f"{path} leads out of {root}", path=path)
        try:
            with open(found, encoding="utf-8") as file:
                return file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise Missing("missing", f"{root} has no text {path}", cause=error, path=path) from error

    def source_path(self, source: Source) -> str:
        if isinstance(source, HostSource):
            return source.path
        if isinstance(source, RepoSource):
            if not source.repo and not source.revision:
                root = self._repository()
            else:
                root = self._checkouts.find(source.repo or self._repository(), source.revision)
            return os.path.join(root, source.path.lstrip("/"))
        raise Missing("missing", "only files of this host and of repositories can be used here")

    def build_image(self, args: Mapping[str, Value], runner: Runner) -> dict[str, Value]:
        from warpforge.polytope.calls.mounts import Facts
        from warpforge.polytope.containers.image_names import ImageNames
        from warpforge.polytope.containers.lockfile import NAME, LockFile
        from warpforge.polytope.dockerfile.adding import Pins
        from warpforge.polytope.dockerfile.image import Ground, build_image

        engine, directory = self._engine(), Path(self.path)
        lock = LockFile(directory / NAME)
        names = ImageNames(engine, lock, directory)

        def pin(address: str, what: str) -> None:
            with self._pinning:
                newest = LockFile(directory / NAME)  # others may have written to it meanwhile
                newest.files[address] = lock.files[address] = what
                newest.save()
            runner.log("info", f"ADD {address}: {NAME} says from now on that it is {what}")

        ground = Ground(
            Facts(base=self.path, cwd=self.path, root=self._repository()),
            names.find,
            names.call,
            self.source_path,
            lambda line: runner.log("info", line),
            Pins(lock.files.get, pin),
        )
        with self._relay.to(runner, engine.stop):
            return build_image(engine, args, ground)

    def _repository(self) -> str:
        return repository_of(os.path.join(self.path, "polytope.yml")) or self.path
