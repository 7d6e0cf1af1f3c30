"""Mirrors over HTTP as nginx serves them: ranges, TLS by an authority of our own, passwords, compression, refusals."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support.certificates import make_authority
from support.places import QUICK, nginx_server

from warpforge.errors import WarpforgeError
from warpforge.mirror.download import Mark, begin_of
from warpforge.mirror.http import HttpMirror
from warpforge.mirror.policy import Access
from warpforge.mirror.protocol import ca_path
from warpforge.model.atoms import WarehouseAddr, WareId

pytestmark = pytest.mark.both

WARE = WareId("ztar", "C4A4jNUSRSbpYSRZrMDDt5vTsdDf2p2pZUZ68K7SL9Ko")
DATA = random.Random(1).randbytes(300_000)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """What nginx serves: one ware."""
    path = tmp_path / "mirror" / ca_path(WARE)
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    return tmp_path / "mirror"


def mirror(url: str) -> HttpMirror:
    return HttpMirror(WarehouseAddr(f"ca+{url}"), Access(policy=QUICK))


def read(url: str, mark: Mark | None = None) -> bytes:
    with mirror(url).open_from(WARE, mark) as stream:
        return stream.read()


def refuse(url: str) -> WarpforgeError:
    with pytest.raises(WarpforgeError) as caught:
        read(url)
    assert caught.value.code == "warpforge-error-fetch"
    return caught.value


def test_it_goes_on_from_a_mark_of_the_same_version(base: Path, tmp_path: Path) -> None:
    with nginx_server(base, tmp_path) as url:
        with mirror(url).open(WARE) as stream:
            begin = begin_of(stream)
        assert begin is not None and begin.at == 0 and begin.size == len(DATA) and begin.tag.startswith('"')
        mark = begin._replace(at=200_000)
        with mirror(url).open_from(WARE, mark) as stream:
            assert begin_of(stream) == mark
            assert stream.read() == DATA[200_000:]
        with mirror(url).open_from(WARE, mark._replace(tag='"another"')) as stream:
            assert begin_of(stream) == begin
            assert stream.read() == DATA


def test_tls_by_an_authority_of_our_own(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """N06: a certificate that nobody vouches for is refused at once; one that SSL_CERT_FILE vouches for is good."""
    authority, server = make_authority(tmp_path)
    with nginx_server(base, tmp_path, certificate=server) as url:
        assert "TLS" in refuse(url).message
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert read(url) == DATA
        assert read(url.replace("127.0.0.1", "localhost")) == DATA
        assert "TLS" in refuse(url.replace("127.0.0.1", "127.0.0.2")).message


def test_what_nginx_compresses_comes_as_it_lies(base: Path, tmp_path: Path) -> None:
    """N08: even when every answer would be compressed."""
    with nginx_server(base, tmp_path, "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;") as url:
        assert read(url) == DATA


def test_a_password(base: Path, tmp_path: Path) -> None:
    """N14: it goes where it belongs, and into no message."""
    passwords = tmp_path / "passwords"
    passwords.write_text("me:{PLAIN}secret\n")
    with nginx_server(base, tmp_path, f"auth_basic x; auth_basic_user_file {passwords};") as url:
        assert read(url.replace("http://", "http://me:secret@")) == DATA
        error = refuse(url.replace("http://", "http://me:wrong@"))
        assert error.details["status"] == "401"
        assert "wrong" not in repr(error.to_serial())


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("return 404;", "not-found"),
        ("return 403;", "net"),
        ("return 503;", "net"),
        ("return 444;", "net"),  # closes the connection without a word
        ("return 301 ftp://x/y;", "policy"),
        ("rewrite ^ /again redirect;", "policy"),
        ("limit_rate 100;", "net"),
    ],
)
def test_refusals(base: Path, tmp_path: Path, does: str, reason: str) -> None:
    """N06 N07 N04."""
    with nginx_server(base, tmp_path, does) as url:
        slow = QUICK._replace(stall=0.5, slowest=10_000) if "limit_rate" in does else QUICK
        with (
            pytest.raises(WarpforgeError) as caught,
            HttpMirror(WarehouseAddr(f"ca+{url}"), Access(slow)).open(WARE) as s,
        ):
            s.read()
        assert caught.value.reason == reason
