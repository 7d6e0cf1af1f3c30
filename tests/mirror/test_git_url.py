"""Addresses of repositories, and where those in .gitmodules lead."""

from __future__ import annotations

import pytest

from warpforge.mirror.git_url import GitUrl, Unsafe, find_submodule, parse_git_url

GOOD = {
    "https://example.org/a/b": GitUrl("https", "example.org", "/a/b"),
    "git+https://example.org:8443/a.git": GitUrl("https", "example.org", "/a.git", port=8443),
    "https://me:pass%40word@example.org/a": GitUrl("https", "example.org", "/a", "me", "pass@word"),
    "ssh://git@example.org/a": GitUrl("ssh", "example.org", "/a", "git"),
    "http://[::1]:80/a": GitUrl("http", "::1", "/a", port=80),
    "git://127.0.0.1:9418/a": GitUrl("git", "127.0.0.1", "/a", port=9418),
    "file:///a%20b/%ff": GitUrl("file", "", "/a b/\udcff"),
    "git+file://localhost/a": GitUrl("file", "", "/a"),
}
HOSTILE = [
    "ext::sh -c touch% /tmp/x", "ext::sh", "git+ext::sh", "fd::7", "transport::https://example.org/a",
    "--upload-pack=touch", "-oProxyCommand=touch", "-u", "ssh://-oProxyCommand=touch/a", "ssh://-x@example.org/a",
    "ssh://example.org/-oProxyCommand", "ssh://a b/c", "ssh://example.org:22:33/a", "https:///a", "https://example.org",
    "https://example.org/", "https://exa mple.org/a", "https://example.org/a\rb", "https://example.org/a%0ab",
    "https://example.org/a%00", "https://example.org/../../x", "https://example.org/a/..", "https://example.org/a?b=c",
    "https://example.org/a#b", "file://host/a", "file:///", "ftp://example.org/a", "s3://bucket/a", "javascript:x", "",
    "rsync://example.org/a", "https://$(id)/a", "https://example.org\\@evil.org/a", "https://[::1/a", "file:relative",
]  # fmt: skip


def test_what_is_accepted() -> None:
    for text, url in GOOD.items():
        assert parse_git_url(text) == url
        plain = url._replace(user=url.user if url.scheme == "ssh" else "", password="")
        assert parse_git_url(url.url) == plain
        assert "pass" not in url.url


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(Unsafe):
        parse_git_url(text)


WEB = GitUrl("https", "example.org", "/team/repo", "me", "secret", 8443)
FILE = GitUrl("file", "", "/srv/repo")
LEADS = [
    (WEB, "../other", "https://example.org:8443/team/other"),
    (WEB, "./sub.git", "https://example.org:8443/team/repo/sub.git"),
    (WEB, "../../x", "https://example.org:8443/x"),
    (WEB, "https://elsewhere.org/a", "https://elsewhere.org/a"),
    (WEB, "ssh://git@elsewhere.org/a", "ssh://git@elsewhere.org/a"),
    (WEB, "git@elsewhere.org:a/b.git", "ssh://git@elsewhere.org/a/b.git"),
    (FILE, "../other repo", "file:///srv/other%20repo"),
    (FILE, "/srv/other", "file:///srv/other"),
    (FILE, "file:///srv/other", "file:///srv/other"),
    (FILE, "https://elsewhere.org/a", "https://elsewhere.org/a"),
    (GitUrl("git", "h", "/r"), "git://h/s", "git://h/s"),
]
NOWHERE = [
    "../../../x", "../..", "/etc", "file:///etc", "http://example.org/a", "git://example.org/a", "ext::sh -c id",
    "-oProxyCommand=x", "--upload-pack=x", "git+https://example.org/a", "", "../x\ry", "../x\x1b", "x", "a:b:c::d",
    "::", "-h:path", "-u@h:path", "u@-h:path", "ssh://-oProxyCommand=x/y", "https://example.org/../..", ".././../../..",
    "C:\\x\ny",
]  # fmt: skip


@pytest.mark.parametrize(("base", "text", "goal"), LEADS)
def test_where_submodules_are(base: GitUrl, text: str, goal: str) -> None:
    found = find_submodule(base, text)
    assert found.url == goal
    if (found.scheme, found.host, found.port) != (base.scheme, base.host, base.port):
        assert not found.password, "a password stays where it belongs"


@pytest.mark.parametrize("text", NOWHERE)
def test_where_no_submodule_leads(text: str) -> None:
    with pytest.raises(Unsafe):
        find_submodule(WEB, text)
