"""Users and passwords for registries, as ``docker login`` and ``podman login`` write them into files.

Credential helpers are programs of others; they are not run.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from warpforge.errors import Unable

from .reference import HUB, Repository

_LARGEST = 1 << 20


def find_login(files: Iterable[Path], repository: Repository) -> str:
    """The Basic credentials (base64) for a repository, from the first file that has any; empty without.

    Errors: ``io`` for a file that cannot be read, or is no JSON.
    """
    for path in files:
        auths = _read(path).get("auths")
        if not isinstance(auths, dict):
            continue
        for key in _keys(repository):
            found = auths.get(key)
            auth = found.get("auth") if isinstance(found, dict) else None
            if isinstance(auth, str) and _is_pair(auth):
                return auth
    return ""


def _keys(repository: Repository) -> Iterator[str]:
    """Under which names a login may stand, the nearest first."""
    host = repository.host
    if host == HUB:
        yield from ("https://index.docker.io/v1/", "index.docker.io", HUB)
        return
    parts = repository.name.split("/")
    for count in range(len(parts), 0, -1):
        yield "/".join((host, *parts[:count]))
    for before in ("", "https://", "http://"):
        for after in ("", "/", "/v1/", "/v2/"):
            yield before + host + after


def _is_pair(auth: str) -> bool:
    try:
        user, colon, password = b64decode(auth, validate=True).partition(b":")
    except ValueError:
        return False
    return bool(user and colon and password)


def _read(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(_LARGEST))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise Unable("io", f"{path} cannot be read: {error.strerror}", cause=error, path=path) from error
    except (ValueError, RecursionError) as error:
        raise Unable("io", f"{path} is no sound JSON: mend it, or log in again", path=path) from error
    return found if isinstance(found, dict) else {}
