"""A certificate authority of our own, and a server's certificate that it signed."""

from __future__ import annotations

import subprocess
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make_authority(directory: Path) -> tuple[Path, Path]:
    """The authority's certificate (what ``SSL_CERT_FILE`` names), and a server's key and certificate in one file."""
    ca, key, request, signed = (directory / name for name in ("ca.crt", "key", "request", "signed"))
    ca_key, both = directory / "ca.key", directory / "server.pem"
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")  # Python 3.13 and later insist on it
    _openssl("req", "-x509", *_KEY, *usage, "-days", "9", "-subj", "/CN=test authority", "-keyout", ca_key, "-out", ca)
    _openssl("req", *_KEY, "-subj", "/CN=localhost", "-keyout", key, "-out", request)
    names = directory / "names"
    names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nauthorityKeyIdentifier=keyid\n")
    sign = ("-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "9", "-extfile", names, "-out", signed)
    _openssl("x509", "-req", "-in", request, *sign)
    both.write_bytes(key.read_bytes() + signed.read_bytes())
    return ca, both


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=Path(words[-1]).parent)
