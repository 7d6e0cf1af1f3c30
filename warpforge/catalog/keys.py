"""Keys: ed25519 (RFC 8032), in the files that other tools read and write.

private key   PEM of PKCS#8 (RFC 8410), 0600: as ``openssl genpkey -algorithm ed25519`` writes it
public key    ``ed25519:`` and the 32 bytes in base58, on one line; also PEM of SubjectPublicKeyInfo, beside the private
              key under its name with ``.pub``
key id        the SHA-256 of the DER of SubjectPublicKeyInfo, 64 hex digits

Errors: ``key-invalid`` (reason ``form`` or ``readable``), ``missing``, ``already-exists``, ``store``, and
``sign-missing`` where the package ``cryptography`` is not installed, which signing and verifying take.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.errors import Failed, Invalid, Missing, Unable, store_error
from warpforge.fsx.atomic import fsync_dir, write_new
from warpforge.model.ident import base58

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PREFIX: Final = "ed25519:"
PUBLIC: Final = ".pub"
_LENGTH: Final = 32
_LARGEST: Final = 1 << 16  # bytes of a key file
_DER: Final = bytes.fromhex("302a300506032b6570032100")  # what stands before the key in SubjectPublicKeyInfo (RFC 8410)
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"


class PublicKey(NamedTuple):
    """Who may be believed. ``raw``: 32 bytes."""

    raw: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """One line (``ed25519:...``), or PEM. Errors: ``key-invalid`` (form)."""
        text = text.strip()
        try:
            raw = _of_pem(text) if text.startswith(_BEGIN) else _of_line(text)
        except ValueError as error:
            raise _formless(f"not a public key: {text.splitlines()[0][:80] if text else 'nothing'!r}", error) from error
        if len(raw) != _LENGTH:
            raise _formless(f"a public key has {_LENGTH} bytes, this one {len(raw)}")
        return cls(raw)

    @property
    def id(self) -> str:
        """The key's id."""
        from hashlib import sha256

        return sha256(_DER + self.raw).hexdigest()

    def pem(self) -> str:
        """As openssl and others read it."""
        from base64 import b64encode

        return f"{_BEGIN}\n{b64encode(_DER + self.raw).decode()}\n{_END}\n"

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether the holder of the private key signed these bytes. Errors: ``sign-missing``."""
        _need_cryptography()
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True

    def __str__(self) -> str:
        return PREFIX + base58(self.raw)


class PrivateKey:
    """What signs. It is never shown."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public: Final = PublicKey(key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new one, from the system's randomness. Errors: ``sign-missing``."""
        _need_cryptography()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    def sign(self, data: bytes) -> bytes:
        """64 bytes, always the same for the same data."""
        return self._key.sign(data)

    def save(self, path: str) -> None:
        """Write the key and, beside it, its public key. Errors: ``already-exists``, ``store``."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            if os.path.lexists(path + PUBLIC):
                raise FileExistsError(17, os.strerror(17), path + PUBLIC)
            write_new(path, pem, mode=0o600)
            write_new(path + PUBLIC, self.public.pem().encode())
            fsync_dir(os.path.dirname(path) or ".")
        except FileExistsError as error:
            name = str(error.filename)
            raise Failed(
                "already-exists", f"there is {name} already: no key is replaced", cause=error, path=name
            ) from (error)
        except OSError as error:
            raise store_error(error, f"cannot write {path}") from error


def load_private(path: str) -> PrivateKey:
    """The key in a file of ours alone.

    Errors: ``missing``; ``key-invalid`` (readable: others may read it, or it belongs to somebody else; form).
    """
    _need_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(path, private=True)
    try:
        key = load_pem_private_key(data, None)
    except TypeError as error:
        advice = f"write it in clear with `openssl pkey -in {path}`"
        raise _formless(f"{path} is encrypted, which is not read here: {advice}", error) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _formless(f"{path} holds no private key (PEM of PKCS#8): see `catalog key new`", error) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _formless(f"{path} holds a key of another kind: ed25519 is wanted")
    return PrivateKey(key)


def load_public(text: str) -> PublicKey:
    """A public key that a person named: the key itself on one line, or a file with it. Errors: as ``parse``."""
    if text.startswith(PREFIX):
        return PublicKey.parse(text)
    data = _read(text, private=False)
    if b"PRIVATE KEY" in data:
        raise _formless(f"{text} is a private key, which is given to nobody: name {text}{PUBLIC}")
    return PublicKey.parse(data.decode("ascii", "replace"))


def any_public(text: str) -> PublicKey:
    """As ``load_public``, and the public key of a private one. Errors: as either."""
    if not text.startswith(PREFIX) and b"PRIVATE KEY" in _read(text, private=False):
        return load_private(text).public
    return load_public(text)


def _read(path: str, *, private: bool) -> bytes:
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _formless(f"{path} is not a file with a key")
            data = file.read(_LARGEST)
            if private and b"PUBLIC KEY" in data:
                raise _formless(f"{path} is a public key: what signs is the private one, without {PUBLIC}")
            if private and (status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid())):
                raise _readable(path, status)
            return data
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Missing("missing", f"there is no key at {path}", cause=error, path=path) from error
    except OSError as error:
        raise Unable("io", f"{path} cannot be read: {error.strerror}", cause=error, path=path) from error


def _readable(path: str, status: os.stat_result) -> Invalid:
    if status.st_mode & 0o077:
        message = f"{path}: others than its owner may read it: chmod 600 it, and make a new key if anybody did"
    else:
        message = f"{path} belongs to somebody else (uid {status.st_uid}), who may sign with it too"
    return Invalid("key-invalid", message, reason="readable", path=path)


def _of_line(text: str) -> bytes:
    from base58 import b58decode

    if not text.startswith(PREFIX):
        raise ValueError("no prefix")
    return b58decode(text.removeprefix(PREFIX))


def _of_pem(text: str) -> bytes:
    from base64 import b64decode

    _, *lines, end = text.splitlines()
    if end != _END:
        raise ValueError("no end")
    der = b64decode("".join(lines), validate=True)
    if not der.startswith(_DER):
        raise ValueError("another kind of key")
    return der.removeprefix(_DER)


def _formless(message: str, cause: BaseException | None = None) -> Invalid:
    return Invalid("key-invalid", message, cause=cause, reason="form")


def _need_cryptography() -> None:
    from importlib.util import find_spec

    if find_spec("cryptography") is None:
        raise Unable("sign-missing", "signatures need the package cryptography: pip install 'warpforge[sign]'")
