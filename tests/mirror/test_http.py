"""Mirrors over HTTP against a server that lies, stalls, breaks off and misleads."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from support import hostile_http as hostile
from support.hostile_http import Hostile

from warpforge.errors import WarpforgeError
from warpforge.mirror.http import HttpMirror
from warpforge.mirror.policy import Access, Policy
from warpforge.model.atoms import WarehouseAddr, WareId

WARE = WareId("ztar", "C4A4jNUSRSbpYSRZrMDDt5vTsdDf2p2pZUZ68K7SL9Ko")
DATA = bytes(range(256)) * 40
TAG = 'ETag: "v1"'
QUICK = Policy(
    connect=10.0, stall=20.0, slowest=1000, total=60.0, tries=3, pause=0.01, patience=0.2, hops=5, largest=1 << 20
)
HASTY = QUICK._replace(stall=0.3, total=20.0, tries=2)  # for those that are slow on purpose: a busy machine is slow too


@pytest.fixture
def server() -> Iterator[Hostile]:
    with Hostile() as running:
        yield running


def fetch(url: str, policy: Policy = QUICK, access: Access | None = None) -> bytes:
    access = access or Access()
    with HttpMirror(WarehouseAddr(url), access._replace(policy=policy)).open(WARE) as stream:
        return stream.read()


def refuse(url: str, policy: Policy = QUICK) -> WarpforgeError:
    with pytest.raises(WarpforgeError) as caught:
        fetch(url, policy)
    assert caught.value.code == "warpforge-error-fetch"
    return caught.value


def test_an_honest_server(server: Hostile) -> None:
    assert fetch(server.on("/x", hostile.body(DATA))) == DATA
    assert server.calls[0].headers["accept-encoding"] == "identity"


def test_an_empty_body_is_an_empty_body(server: Hostile) -> None:
    assert fetch(server.on("/x", hostile.body(b""))) == b""


# short, odd and endless bodies (N01 N02 N03)


@pytest.mark.parametrize(
    "behaviour", [hostile.short(DATA, 1), hostile.chunked(DATA, end=b""), hostile.chunked(DATA, end=b"5\r\nab")]
)
def test_a_short_body_is_said(server: Hostile, behaviour: hostile.Behaviour) -> None:
    assert refuse(server.on("/x", behaviour)).reason == "short"
    assert server.paths() == ["/x"] * QUICK.tries


def test_a_body_without_length_ends_with_the_connection(server: Hostile) -> None:
    assert fetch(server.on("/x", hostile.until_close(DATA))) == DATA


def test_a_negative_length_is_none(server: Hostile) -> None:
    assert fetch(server.on("/x", hostile.until_close(DATA, "Content-Length: -5"))) == DATA


def test_a_length_that_is_too_small_cuts(server: Hostile) -> None:
    assert fetch(server.on("/x", hostile.until_close(DATA, "Content-Length: 10"))) == DATA[:10]  # its hash is wrong


def test_an_endless_body_is_stopped(server: Hostile) -> None:
    assert refuse(server.on("/x", hostile.endless)).reason == "size"


def test_a_declared_size_is_believed_when_it_is_too_large(server: Hostile) -> None:
    assert refuse(server.on("/x", hostile.short(b"", 2 << 20))).reason == "size"
    assert len(server.calls) == 1


# slowness (N04)


@pytest.mark.parametrize(
    "behaviour",
    [
        lambda call: call.over.wait(),
        hostile.stalling(b"", 100),
        hostile.stalling(DATA, len(DATA) + 5),
        hostile.dripping(DATA, 0.05),
        hostile.endless_headers,
    ],
    ids=["no-answer", "after-headers", "mid-body", "drip", "headers"],
)
def test_a_slow_server_is_given_up(server: Hostile, behaviour: hostile.Behaviour) -> None:
    assert refuse(server.on("/x", behaviour), HASTY).reason == "net"


def test_everything_has_an_end(server: Hostile) -> None:
    url = server.on("/x", hostile.dripping(bytes(10_000), 0.02))
    assert "not done after" in refuse(url, QUICK._replace(total=0.4, slowest=0)).message


# what may pass and what will not (N06)


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(server: Hostile, code: int) -> None:
    url = server.on("/x", hostile.status(f"{code} Busy", times=2, then=hostile.body(DATA)))
    assert fetch(url) == DATA
    assert len(server.calls) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 451, 501])
def test_what_will_not_pass_is_not(server: Hostile, code: int) -> None:
    error = refuse(server.on("/x", hostile.status(f"{code} No")))
    assert error.reason == ("not-found" if code in (404, 410) else "net")
    assert len(server.calls) == 1


def test_a_server_that_stays_busy(server: Hostile) -> None:
    assert "503" in refuse(server.on("/x", hostile.status("503 Busy"))).message
    assert len(server.calls) == QUICK.tries


def test_a_reset_is_tried_again(server: Hostile) -> None:
    assert fetch(server.on("/x", hostile.in_turn(hostile.resetting, hostile.body(DATA)))) == DATA


def test_retry_after_is_waited_for(server: Hostile) -> None:
    url = server.on("/x", hostile.status("429 Slow", "Retry-After: 1", times=1, then=hostile.body(DATA)))
    began = monotonic()
    assert fetch(url, QUICK._replace(patience=2.0)) == DATA
    assert monotonic() - began >= 1


@pytest.mark.parametrize("after", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_nobody_waits_an_hour(server: Hostile, after: str) -> None:
    refuse(server.on("/x", hostile.status("503 Busy", f"Retry-After: {after}")))
    assert len(server.calls) == 1


def test_nobody_there() -> None:
    with Hostile() as gone:
        url = gone.url
    assert "refused" in refuse(url).message


def test_a_name_that_nobody_has() -> None:
    assert "name" in refuse("http://nobody.invalid/x").message


def test_what_is_not_http(server: Hostile) -> None:
    refuse(server.on("/x", lambda call: call.send(b"220 ftp ready\r\n\r\n")))


# going on


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "from-the-start"])
def test_a_broken_download_goes_on(server: Hostile, ranges: bool) -> None:
    url = server.on("/x", hostile.breaking(DATA, 4000, TAG, ranges=ranges))
    assert fetch(url) == DATA
    assert [call.headers.get("range") for call in server.calls] == [None, "bytes=4000-", f"bytes={8000}-"]
    assert server.calls[1].headers["if-range"] == '"v1"'


def test_without_a_strong_tag_it_starts_again(server: Hostile) -> None:
    url = server.on("/x", hostile.breaking(DATA, 4000, 'ETag: W/"v1"', ranges=False))
    assert fetch(url) == DATA
    assert not any("range" in call.headers for call in server.calls)


def test_other_bytes_are_not_glued_to_it(server: Hostile) -> None:
    url = server.on("/x", hostile.in_turn(hostile.short(DATA, 9, TAG), hostile.body(DATA[::-1] + bytes(9), TAG)))
    assert "changed" in refuse(url).message


def test_the_wrong_range_is_not_taken(server: Hostile) -> None:
    def lying(call: hostile.Call) -> None:
        call.head("206 Partial Content", "Content-Length: 9", f"Content-Range: bytes 3-11/{len(DATA) + 9}")
        call.send(bytes(9))

    assert "range" in refuse(server.on("/x", hostile.in_turn(hostile.short(DATA, 9, TAG), lying))).message


def test_a_download_that_goes_on_has_new_patience(server: Hostile) -> None:
    data = bytes(5 << 20)
    url = server.on("/x", hostile.breaking(data, 1 << 20, TAG))
    assert fetch(url, QUICK._replace(largest=1 << 30, tries=2)) == data


# redirects (N07)


def test_redirects_are_followed(server: Hostile) -> None:
    server.on("/c", hostile.body(DATA))
    server.on("/b", hostile.redirect("c", 307))
    assert fetch(server.on("/a", hostile.redirect("/b"))) == DATA


@pytest.mark.parametrize(
    "location",
    ["/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x", "//", "http://[::1", "http://169.254.169.254/x"],
)
def test_redirects_that_lead_astray(server: Hostile, location: str) -> None:
    error = refuse(server.on("/x", hostile.redirect(location)), QUICK._replace(connect=2.0, tries=1))
    # where nothing is routed the connection fails before its address can be judged
    assert error.reason == "policy" or "169.254" in location


def test_fifty_hops(server: Hostile) -> None:
    for number in range(50):
        server.on(f"/{number}", hostile.redirect(f"/{number + 1}"))
    assert refuse(f"{server.url}/0").reason == "policy"
    assert len(server.calls) == QUICK.hops + 1


def test_the_world_does_not_send_us_home() -> None:
    """In a network of its own, with a public address: a mirror there may not lead to loopback."""
    argv = ["unshare", "-Urn", sys.executable, "-m", "support.far_away"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stdout.split() == ["policy", "0", "ok"], done.stderr


# what the body says of itself (N08; N09 and N10 take a hash: tests/e2e/test_hostile_mirrors.py)


def test_a_content_encoding_changes_nothing(server: Hostile) -> None:
    assert fetch(server.on("/x", hostile.body(DATA, "Content-Encoding: gzip"))) == DATA


# credentials (N14)


def test_credentials_go_to_their_origin_only(server: Hostile) -> None:
    with Hostile() as other:
        there = other.on("/x", hostile.body(DATA))
        server.on("/b", hostile.redirect(there.replace("http://", "http://eve:pass@")))
        url = server.on("/a", hostile.redirect("/b")).replace("http://", "http://me:s%65cret@")
        assert fetch(url) == DATA
        assert [call.headers.get("authorization") for call in server.calls] == ["Basic bWU6c2VjcmV0"] * 2
        assert "authorization" not in other.calls[0].headers


def test_credentials_are_never_said(server: Hostile) -> None:
    url = server.on("/x", hostile.status("403 No")).replace("http://", "http://me:secret@") + "?X-Signature=secret"
    error = refuse(url)
    assert "secret" not in repr(error.to_serial()) + error.message


def test_a_proxy_gets_its_own_credentials(server: Hostile) -> None:
    server.on("http://mirror.example/x", hostile.body(DATA))
    access = Access(proxies={"http": server.url.replace("http://", "http://p:q@")}, no_proxy=("127.0.0.1",))
    assert fetch("http://mirror.example/x", access=access) == DATA
    assert server.calls[0].headers["proxy-authorization"] == "Basic cDpx"
    assert "authorization" not in server.calls[0].headers
    with Hostile() as near:
        assert fetch(near.on("/x", hostile.body(DATA)), access=access) == DATA
        assert "proxy-authorization" not in near.calls[0].headers


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    made = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "9",
        "-subj",
        "/CN=localhost",
    ]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run(["openssl", *made, *names, *files], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Hostile]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Hostile(tls=context) as running:
        yield running


def test_a_certificate_that_nobody_vouches_for(secure: Hostile) -> None:
    """N06."""
    error = refuse(secure.on("/x", hostile.body(DATA)))
    assert "TLS" in error.message
    assert secure.calls == []


def test_from_https_only_to_https(
    secure: Hostile, server: Hostile, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    assert fetch(secure.on("/x", hostile.body(DATA))) == DATA
    assert fetch(server.on("/up", hostile.redirect(secure.url + "/x"))) == DATA
    down = hostile.redirect(server.on("/x", hostile.body(DATA)))
    assert refuse(secure.on("/down", down)).reason == "policy"
    assert refuse(secure.on("/slow", hostile.stalling(b"x", 9)), QUICK._replace(tries=1, stall=1.5)).reason == "net"


# asking without reading, and places of many


def test_has(server: Hostile) -> None:
    def no_head(call: hostile.Call) -> None:
        (hostile.status("405 No") if call.method == "HEAD" else hostile.body(DATA))(call)

    access = Access(policy=QUICK)
    assert HttpMirror(WarehouseAddr(server.on("/x", hostile.body(DATA))), access).has(WARE)
    assert HttpMirror(WarehouseAddr(server.on("/y", no_head)), access).has(WARE)
    assert not HttpMirror(WarehouseAddr(server.url + "/z"), access).has(WARE)
    with pytest.raises(WarpforgeError):
        HttpMirror(WarehouseAddr(server.on("/w", hostile.status("500 Bad"))), access).has(WARE)


def test_the_flat_layout_is_tried_last(server: Hostile) -> None:
    server.on(f"/m/C4A/4jN/{WARE.hash}", hostile.body(DATA))
    assert fetch(f"ca+{server.url}/m/") == DATA
    assert server.paths() == [f"/m/ztar/C4A/4jN/{WARE.hash}", f"/m/C4A/4jN/{WARE.hash}"]
