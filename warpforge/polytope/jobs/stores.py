"""Values and secrets that people store: of a project, or of a context that projects share.

    DIRECTORY/values.json     {"values.v1": {NAME: TEXT}}
    DIRECTORY/secrets.json    {"secrets.v1": {NAME: base64 of a nonce and what AES-256-GCM makes of the text}}

The key of the secrets lies elsewhere: in its owner's configuration, for its owner alone. So a project's directory can
be copied, backed up or published by mistake, and its secrets are safe; they are not safe from whoever reads the files
of the owner's home, nor from root. A secret is bound to its name: swapped with another it cannot be read.
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from warpforge.errors import Invalid, Missing, Unable, store_error
from warpforge.fsx.atomic import make_dirs, write_atomic, write_new
from warpforge.fsx.locks import Lock

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
SIZE_LIMIT: Final = 1 << 20
FILE_LIMIT: Final = 64 << 20

_NAME: Final = re.compile(r"[^\s{}\0/]{1,255}")
_NONCE: Final = 12


class Store:
    """The values and secrets of one directory. Safe for several processes at once."""

    def __init__(self, directory: str, key: Key) -> None:
        self._directory = directory
        self._key = key

    def value(self, name: str) -> str | None:
        """None when there is none. Errors: ``store``."""
        return self._load("values").get(name)

    def secret(self, name: str) -> str | None:
        """None when there is none. Errors: ``store``; ``missing`` when the key is gone."""
        sealed = self._load("secrets").get(name)
        return None if sealed is None else self._key.open(name, sealed)

    def names(self, kind: str) -> list[str]:
        """All names; ``kind``: values or secrets."""
        return sorted(self._load(kind))

    def set_value(self, name: str, text: str) -> None:
        """Errors: ``invalid-argument``, ``store``."""
        _check(name, text)
        self._change("values", lambda held: held.__setitem__(name, text))

    def set_secret(self, name: str, text: str) -> None:
        """Errors: likewise."""
        _check(name, text)
        sealed = self._key.seal(name, text)
        self._change("secrets", lambda held: held.__setitem__(name, sealed))

    def remove(self, kind: str, names: Sequence[str]) -> None:
        """Errors: ``missing``, and then nothing was removed."""

        def drop(held: dict[str, str]) -> None:
            absent = [name for name in names if name not in held]
            if absent:
                raise Missing("missing", f"there is no {kind[:-1]} {', '.join(absent)}", names=", ".join(absent))
            for name in names:
                held.pop(name, None)

        self._change(kind, drop)

    def _path(self, kind: str) -> str:
        return os.path.join(self._directory, f"{kind}.json")

    def _load(self, kind: str) -> dict[str, str]:
        path = self._path(kind)
        try:
            with open(path, "rb") as source:
                held = json.loads(source.read(FILE_LIMIT))[f"{kind}.v1"]
            if isinstance(held, dict) and all(isinstance(text, str) for text in held.values()):
                return held
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise store_error(error, path) from error
        except (ValueError, KeyError, TypeError) as error:
            raise Unable("store", f"{path} is damaged: mend it, or remove it and set all again", path=path) from error
        raise Unable("store", f"{path} is damaged: mend it, or remove it and set all again", path=path)

    def _change(self, kind: str, change: Callable[[dict[str, str]], None]) -> None:
        path = self._path(kind)
        try:
            make_dirs(self._directory)
            with Lock(f"{path}.lock"):
                held = self._load(kind)
                change(held)
                data = json.dumps({f"{kind}.v1": held}, indent="\t", ensure_ascii=False, sort_keys=True)
                write_atomic(path, data.encode() + b"\n", 0o600)
        except OSError as error:
            raise store_error(error, path) from error


class Key:
    """The key of a person's secrets, made when the first secret is stored."""

    def __init__(self, path: str) -> None:
        self._path = path

    def seal(self, name: str, text: str) -> str:
        """Errors: ``store``."""
        nonce = os.urandom(_NONCE)
        sealed = _cipher(self._load(make=True)).encrypt(nonce, text.encode(), name.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, name: str, sealed: str) -> str:
        """Errors: ``missing`` when there is no key; ``store`` when it is another one, or the secret was changed."""
        from cryptography.exceptions import InvalidTag

        key = self._load(make=False)
        try:
            data = base64.b64decode(sealed, validate=True)
            return str(_cipher(key).decrypt(data[:_NONCE], data[_NONCE:], name.encode()).decode())
        except (InvalidTag, ValueError) as error:
            message = f"the secret {name} cannot be read with the key in {self._path}: set it again"
            raise Unable("store", message, name=name) from error

    def _load(self, *, make: bool) -> bytes:
        try:
            if make and not os.path.exists(self._path):
                self._make()
            with open(self._path, "rb") as source:
                if stat.S_IMODE(os.fstat(source.fileno()).st_mode) & 0o077:
                    raise Unable("store", f"others can read {self._path}: chmod 600 {self._path}", path=self._path)
                key = base64.b64decode(source.read(1000).strip(), validate=True)
        except FileNotFoundError as error:
            message = f"the key of the secrets is gone ({self._path}): bring it back, or set them again"
            raise Missing("missing", message, path=self._path) from error
        except OSError as error:
            raise store_error(error, self._path) from error
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise Unable("store", f"{self._path} holds no key: bring it back from a copy", path=self._path)
        return key

    def _make(self) -> None:
        make_dirs(os.path.dirname(self._path))
        try:
            write_new(self._path, base64.b64encode(os.urandom(KEY_BYTES)) + b"\n", mode=0o600)
        except FileExistsError:
            pass  # another process was first


class Layers:
    """Several stores, the first that has a name answers; what is set goes to the first."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = stores

    def value(self, name: str) -> str | None:
        return next((found for store in self.stores if (found := store.value(name)) is not None), None)

    def secret(self, name: str) -> str | None:
        return next((found for store in self.stores if (found := store.secret(name)) is not None), None)

    def set_value(self, name: str, text: str) -> None:
        self.stores[0].set_value(name, text)

    def set_secret(self, name: str, text: str) -> None:
        self.stores[0].set_secret(name, text)


def _cipher(key: bytes) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise Unable("store", "secrets need the extra polytope: pip install 'warpforge[polytope]'") from error
    return AESGCM(key)


def _check(name: str, text: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid("invalid-argument", f"{name!r} is no name: it has neither blanks, braces nor slashes")
    if len(text.encode("utf-8", "surrogatepass")) > SIZE_LIMIT:
        raise Invalid("invalid-argument", f"{name} is larger than {SIZE_LIMIT >> 20} MiB: mount it as a file")
    if "\0" in text or (not text.isprintable() and any("\ud800" <= char <= "\udfff" for char in text)):
        raise Invalid("invalid-argument", f"{name} is no text")


def parse_texts(value: object) -> Mapping[str, str]:
    """A map of scalars, as texts. Errors: ``invalid-argument``."""
    from warpforge.polytope.calls.references import spell_within

    if not isinstance(value, dict):
        raise Invalid("invalid-argument", "a map from names to values was expected")
    return {name: spell_within(inner) for name, inner in value.items()}
