"""How images in registries are called, and which login is theirs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.registry import basic

from warpforge.errors import WarpforgeError
from warpforge.mirror.logins import find_login
from warpforge.mirror.reference import parse_reference

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "url", "what"),
    [
        ("busybox", "https://registry-1.docker.io/v2/library/busybox", "latest"),
        ("docker.io/busybox:1.36", "https://registry-1.docker.io/v2/library/busybox", "1.36"),
        ("docker://index.docker.io/library/busybox", "https://registry-1.docker.io/v2/library/busybox", "latest"),
        ("someone/tool", "https://registry-1.docker.io/v2/someone/tool", "latest"),
        (f"ghcr.io/a/b_c/d-e@sha256:{HEX}", "https://ghcr.io/v2/a/b_c/d-e", f"sha256:{HEX}"),
        (f"quay.io/a/b:v1@sha256:{HEX}", "https://quay.io/v2/a/b", f"sha256:{HEX}"),
        ("example.org:5000/x:v1", "https://example.org:5000/v2/x", "v1"),
        ("localhost/x", "http://localhost/v2/x", "latest"),
        ("localhost:5000/x:a", "http://localhost:5000/v2/x", "a"),
        ("127.0.0.1:5000/x/y", "http://127.0.0.1:5000/v2/x/y", "latest"),
        ("[::1]:5000/x", "http://[::1]:5000/v2/x", "latest"),
        ("oci://example.org/x", "https://example.org/v2/x", "latest"),
        ("oci+https://127.0.0.1/x", "https://127.0.0.1/v2/x", "latest"),
        ("oci+http://example.org/x", "http://example.org/v2/x", "latest"),
    ],
)
def test_what_is_asked_for(text: str, url: str, what: str) -> None:
    found = parse_reference(text)
    assert (found.repository.url, found.what) == (url, what)
    again = parse_reference(found.repository.address)
    assert again.repository == found.repository


@pytest.mark.parametrize(
    "text",
    [
        *("", "Upper/case:v1", "a//b", "/a", "a/../b", "-a", "a:", "a:-b", f"a:{'x' * 129}", "a@sha256:abc", "a b"),
        *("a@md5:abc", "https://example.org/x", "file:///x", "user:pw@example.org/x", "example.org/", "a/\x1b[0m", "é"),
        *("127.0.0.1.evil.org:x/y", "exa mple.org/x"),
    ],
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(WarpforgeError) as caught:
        parse_reference(text)
    assert caught.value.code == "warpforge-error-invalid-argument"


def test_only_this_machine_is_reached_without_tls() -> None:
    for host in ("127.0.0.1.example.org", "localhost.example.org", "10.0.0.1"):
        assert parse_reference(f"{host}/x").repository.scheme == "https"


@pytest.mark.parametrize(
    ("key", "name", "found"),
    [
        ("example.org", "example.org/x/y", True),
        ("example.org/x", "example.org/x/y", True),
        ("example.org/x/y", "example.org/x/y", True),
        ("https://example.org/v2/", "example.org/x/y", True),
        ("https://index.docker.io/v1/", "busybox", True),
        ("example.org/other", "example.org/x/y", False),
        ("example.org", "example.org:5000/x", False),
        ("org", "example.org/x", False),
        ("docker.io", "ghcr.io/x/y", False),
    ],
)
def test_whose_login_it_is(tmp_path: Path, key: str, name: str, found: bool) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {key: {"auth": basic("me", "secret")}}}))
    files = [tmp_path / "none.json", path]
    assert find_login(files, parse_reference(name).repository) == (basic("me", "secret") if found else "")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"auths": []}', '{"auths": {"example.org": {"auth": "***"}}}'])
def test_files_without_a_login(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    repository = parse_reference("example.org/x").repository
    if text in ("", "{"):
        with pytest.raises(WarpforgeError) as caught:
            find_login([path], repository)
        assert caught.value.code == "warpforge-error-io"
    else:
        assert find_login([path], repository) == ""
