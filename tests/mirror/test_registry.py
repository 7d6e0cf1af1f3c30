"""A registry that lies, and logins that go only where they belong."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import hostile_http
from support.forge import member, tar
from support.hostile_http import Hostile, body, redirect
from support.images import CONFIG, INDEX, MANIFEST, Image, descriptor, dump
from support.places import QUICK
from support.registry import basic, blob_path, guard, host_of, offer, token_path

from warpforge.errors import WarpforgeError
from warpforge.mirror.oci import open_reference
from warpforge.mirror.policy import Access
from warpforge.mirror.reference import parse_reference
from warpforge.model.atoms import WareId
from warpforge.pack.filters import SCAN
from warpforge.pack.image import Platform, find_image
from warpforge.pack.limits import DEFAULT
from warpforge.pack.oci import write_at_rest

NAME = "some/thing"
SCOPE = f"repository:{NAME}:pull"


@pytest.fixture
def server() -> Iterator[Hostile]:
    with Hostile() as server:
        yield server


@pytest.fixture
def image(server: Hostile) -> Image:
    image = Image(tar(member(b"one", b"1" * 5000)), tar(member(b"two", b"2")))
    offer(server, image, NAME, "v1")
    return image


def login(base: Path, key: str, user: str = "me", password: str = "secret") -> Access:
    path = base / "config.json"
    path.write_text(json.dumps({"auths": {key: {"auth": basic(user, password)}}}))
    return Access(QUICK, auth_files=(path,))


def fetch(server: Hostile, what: str = ":v1", access: Access | None = None) -> WareId:
    """All of an image."""
    source = open_reference(parse_reference(f"{host_of(server)}/{NAME}{what}"), access or Access(QUICK))
    found = find_image(source, Platform.parse("amd64"))
    return write_at_rest(source, found, SCAN, DEFAULT, io.BytesIO(), None).ware


def refusal(server: Hostile, what: str = ":v1", access: Access | None = None) -> tuple[str, str]:
    with pytest.raises(WarpforgeError) as caught:
        fetch(server, what, access)
    assert "secret" not in str(caught.value)
    return caught.value.code.removeprefix("warpforge-error-"), caught.value.reason


def test_by_tag_and_by_digest(server: Hostile, image: Image) -> None:
    assert fetch(server).hash == image.id
    assert fetch(server, f"@sha256:{image.id}").hash == image.id
    assert refusal(server, ":v2") == ("fetch", "not-found")


def test_an_index_leads_to_its_manifest_by_digest(server: Hostile, image: Image) -> None:
    listed = descriptor(image.manifest(), MANIFEST, platform={"os": "linux", "architecture": "amd64"})
    server.on(f"/v2/{NAME}/manifests/v2", body(dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [listed]})))
    assert fetch(server, ":v2").hash == image.id


def test_an_image_that_moves_is_one_image(server: Hostile, image: Image) -> None:
    """The tag is asked for once; whatever it names later is another image."""
    other = Image(tar(member(b"other")))
    honest, moved = body(image.manifest()), body(other.manifest())
    server.on(f"/v2/{NAME}/manifests/v1", hostile_http.in_turn(honest, moved))
    assert fetch(server).hash == image.id


def test_a_manifest_that_is_another(server: Hostile, image: Image) -> None:
    server.on(f"/v2/{NAME}/manifests/sha256:{image.id}", body(Image(tar(member(b"evil"))).manifest()))
    assert refusal(server, f"@sha256:{image.id}") == ("ware-mismatch", "hash")


def test_a_layer_that_is_another(server: Hostile, image: Image) -> None:
    good = image.blobs[image.layers[0]["digest"]]
    for evil in (Image(tar(member(b"evil"))).blobs.popitem()[1], good[:-1] + b"?", b"", b"<html>log in</html>"):
        server.on(blob_path(image, NAME), body(evil))
        assert refusal(server) == ("ware-mismatch", "hash"), evil[:20]


def test_a_layer_that_breaks_off_goes_on(server: Hostile, image: Image) -> None:
    data = image.blobs[image.layers[0]["digest"]]
    server.on(blob_path(image, NAME), hostile_http.breaking(data, len(data) // 2 + 1, 'ETag: "1"'))
    assert fetch(server).hash == image.id
    server.on(blob_path(image, NAME), hostile_http.short(data[:10], len(data) - 10))
    assert refusal(server) == ("fetch", "short")


def test_endless_answers(server: Hostile, image: Image) -> None:
    server.on(blob_path(image, NAME), hostile_http.endless)
    assert refusal(server) == ("fetch", "size")
    server.on(f"/v2/{NAME}/manifests/v1", hostile_http.endless)
    assert refusal(server) == ("fetch", "size")


def test_a_layer_that_says_it_has_no_end(server: Hostile, image: Image) -> None:
    image.layers[0]["size"] = 1 << 60
    server.on(f"/v2/{NAME}/manifests/v1", body(image.manifest()))
    server.on(blob_path(image, NAME), hostile_http.endless)
    assert refusal(server, access=Access(QUICK._replace(largest=5 << 20))) == ("fetch", "size")


def test_a_page_of_the_world(server: Hostile, image: Image) -> None:
    server.on(f"/v2/{NAME}/manifests/v1", body(b"<html>please log in</html>", "Content-Type: text/html"))
    assert refusal(server) == ("ware-corrupt", "")


def test_a_config_is_as_small_as_it_says(server: Hostile, image: Image) -> None:
    config = {"mediaType": CONFIG, "digest": f"sha256:{'0' * 64}", "size": 1 << 40}
    manifest = dump({"schemaVersion": 2, "config": config, "layers": []})
    server.on(f"/v2/{NAME}/manifests/v1", body(manifest))
    assert refusal(server) == ("ware-limit", "bytes")


# logins


def test_basic(server: Hostile, image: Image, tmp_path: Path) -> None:
    guard(server, 'Basic realm="here"', f"Basic {basic('me', 'secret')}")
    assert fetch(server, access=login(tmp_path, host_of(server))).hash == image.id
    assert refusal(server) == ("fetch", "policy")
    assert refusal(server, access=login(tmp_path, host_of(server), password="secret2")) == ("fetch", "policy")
    assert refusal(server, access=login(tmp_path, "example.org")) == ("fetch", "policy")


@pytest.mark.parametrize("field", ["token", "access_token"])
def test_token(server: Hostile, image: Image, tmp_path: Path, field: str) -> None:
    challenge = f'Bearer realm="{server.url}/token",service="reg",scope="{SCOPE}"'
    guard(server, challenge, "Bearer t0ken")
    server.on(token_path(SCOPE, "reg"), body(dump({field: "t0ken"})))
    assert fetch(server, access=login(tmp_path, host_of(server))).hash == image.id
    asked = [call for call in server.calls if call.path.startswith("/token")]
    assert len(asked) == 1, "one token is enough"
    assert asked[0].headers["authorization"] == f"Basic {basic('me', 'secret')}"


def test_token_for_nobody(server: Hostile, image: Image) -> None:
    guard(server, f'Bearer realm="{server.url}/token"', "Bearer t0ken")
    server.on(token_path(SCOPE), body(dump({"token": "t0ken"})))
    assert fetch(server).hash == image.id
    assert "authorization" not in next(call.headers for call in server.calls if call.path.startswith("/token"))


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b'{"token": 1}', b'{"token": "a\\nX-Evil: 1"}'])
def test_a_token_server_without_a_token(server: Hostile, image: Image, answer: bytes) -> None:
    guard(server, f'Bearer realm="{server.url}/token"', "Bearer t0ken")
    server.on(token_path(SCOPE), body(answer))
    assert refusal(server) == ("fetch", "policy")


@pytest.mark.parametrize("realm", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://", "http://a b/", ""])
def test_a_realm_that_is_no_token_server(server: Hostile, image: Image, realm: str) -> None:
    guard(server, f'Bearer realm="{realm}"', "Bearer t0ken")
    code, _ = refusal(server)
    assert code == "fetch"


def test_a_token_that_does_not_open(server: Hostile, image: Image) -> None:
    guard(server, f'Bearer realm="{server.url}/token"', "Bearer t0ken")
    server.on(token_path(SCOPE), body(dump({"token": "another"})))
    assert refusal(server) == ("fetch", "policy")


def test_a_redirect_takes_no_login_along(server: Hostile, image: Image, tmp_path: Path) -> None:
    with Hostile() as elsewhere:
        data = image.blobs[image.layers[0]["digest"]]
        server.on(blob_path(image, NAME), redirect(elsewhere.on("/blob", body(data)), 307))
        guard(server, 'Basic realm="here"', f"Basic {basic('me', 'secret')}")
        access = login(tmp_path, host_of(server))
        assert fetch(server, access=access).hash == image.id
        assert "authorization" not in elsewhere.calls[0].headers

        # nor does the far end get one by asking for it
        elsewhere.on("/blob", hostile_http.status("401 Nope", 'WWW-Authenticate: Basic realm="give"'))
        assert refusal(server, access=access) == ("fetch", "net")
        assert all("authorization" not in call.headers for call in elsewhere.calls)
        realm = f'WWW-Authenticate: Bearer realm="{elsewhere.url}/token"'
        elsewhere.on("/blob", hostile_http.status("401 Nope", realm))
        assert refusal(server, access=access) == ("fetch", "net")
        assert {call.path for call in elsewhere.calls} == {"/blob"}


def test_redirects_that_are_not_followed(server: Hostile, image: Image) -> None:
    for goal in ("file:///etc/passwd", "ftp://example.org/x", server.url + blob_path(image, NAME)):
        server.on(blob_path(image, NAME), redirect(goal))
        assert refusal(server) == ("fetch", "policy"), goal


# pushing


def test_an_upload_goes_where_the_registry_says_but_the_login_does_not(server: Hostile, tmp_path: Path) -> None:
    from warpforge.mirror.oci import OciMirror
    from warpforge.model.atoms import WarehouseAddr

    with Hostile() as elsewhere:
        server.on(
            f"/v2/{NAME}/blobs/uploads/",
            hostile_http.status("202 Accepted", f"Location: {elsewhere.url}/upload?session=1"),
        )
        guard(server, 'Basic realm="here"', f"Basic {basic('me', 'secret')}")
        mirror = OciMirror(WarehouseAddr(f"oci://{host_of(server)}/{NAME}"), login(tmp_path, host_of(server)))
        with pytest.raises(WarpforgeError) as caught:
            mirror.push(WareId("ztar", "abc"), io.BytesIO(b"data"))
        assert caught.value.code == "warpforge-error-fetch"
        assert elsewhere.calls
        assert all("authorization" not in call.headers for call in elsewhere.calls)


def test_an_image_is_not_pushed_as_what_it_is_not(server: Hostile) -> None:
    from warpforge.mirror.oci import OciMirror
    from warpforge.model.atoms import WarehouseAddr

    with pytest.raises(WarpforgeError) as caught:
        OciMirror(WarehouseAddr(f"oci://{host_of(server)}/x"), Access(QUICK)).push(
            WareId("oci", "0" * 64), io.BytesIO()
        )
    assert caught.value.reason == "policy"
    assert not server.calls
