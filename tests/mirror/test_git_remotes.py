"""Fetching from repositories: what they may do to us, what servers do to us, and what is asked of whom."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.people import USER_UID
from support.places import QUICK
from support.processes import wait_until
from support.repositories import Repo, http_repositories

from warpforge.errors import WarpforgeError
from warpforge.fsx.git import Bare
from warpforge.mirror.git import GitRemote
from warpforge.mirror.git_url import parse_git_url
from warpforge.mirror.policy import Access
from warpforge.model.atoms import WareId

ACCESS = Access(QUICK)


def bring(address: str, commit: str, place: Path, access: Access = ACCESS) -> Bare:
    GitRemote.of(address, access).bring(WareId("git", commit), place, lambda done, total: None)
    return Bare(place, size=len(commit))


def refusal(address: str, commit: str, place: Path, access: Access = ACCESS) -> tuple[str, str]:
    with pytest.raises(WarpforgeError) as caught:
        bring(address, commit, place, access)
    assert "secret" not in caught.value.message + str(caught.value.details)
    return caught.value.code.removeprefix("warpforge-error-"), caught.value.reason


def resolve(repo: Repo, ref: str, place: Path) -> str:
    return GitRemote.at(repo.path).resolve(ref, place)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


def names(bare: Bare, commit: str) -> list[str]:
    return bare.run("ls-tree", "-r", "--name-only", commit).decode().split()


@pytest.mark.both
@pytest.mark.parametrize("how", ["replace", "graft", "shallow", "alternates", "worktree", "bare", "owner"])
def test_the_true_commit_comes_from_any_repository(repo: Repo, tmp_path: Path, how: str) -> None:
    first = repo.commit({"a": "1"})
    commit = repo.commit({"b": "2"})
    source = repo.path
    if how == "replace":
        lie = repo.git("commit-tree", "-m", "lie", repo.git("mktree"))
        repo.git("replace", commit, lie)
        assert repo.git("ls-tree", commit) == "", "git itself lies"
    elif how == "graft":
        (repo.path / ".git/info/grafts").write_text(f"{commit}\n")
    elif how == "shallow":
        repo.git("clone", "-q", "--depth=1", f"file://{repo.path}", "../other")
        source = tmp_path / "other"
    elif how == "owner":
        if os.geteuid():
            pytest.skip("only root can give a repository to somebody else")
        for path in (repo.path, *repo.path.rglob("*")):
            os.chown(path, USER_UID, USER_UID, follow_symlinks=False)
    elif how == "alternates":
        repo.git("clone", "-q", "--shared", "--bare", str(repo.path), "../other")
        source = tmp_path / "other"
    elif how == "worktree":
        repo.git("worktree", "add", "-q", "../other", "-b", "side")
        source = tmp_path / "other"
    else:
        repo.git("clone", "-q", "--bare", str(repo.path), "../other")
        source = tmp_path / "other"
    assert names(bring(f"file://{source}", commit, tmp_path / "got"), commit) == ["a", "b"]
    if how != "shallow":
        assert names(bring(f"file://{source}", first, tmp_path / "got"), first) == ["a"]
    with_names = GitRemote.at(source).resolve("HEAD", tmp_path / "names")
    assert with_names == commit


FORGED = [
    ("100644", b".."), ("100644", b".git"), ("40000", b".GIT"), ("100644", b"a/b"), ("100644", b""), ("100644", b"."),
    ("120000", b".gitmodules"),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "name"), FORGED)
def test_forged_trees_do_not_come(repo: Repo, tmp_path: Path, mode: str, name: bytes) -> None:
    repo.commit({"a": "1"})
    oid = repo.git("rev-parse", "HEAD^{tree}") if mode == "40000" else repo.blob()
    commit = repo.forge_commit((mode, name, oid))
    assert refusal(f"file://{repo.path}", commit, tmp_path / "got") == ("git", "unsafe")


@pytest.mark.parametrize("entries", [[b"a", b"a"], [b"b", b"a"]], ids=["a name twice", "out of order"])
def test_malformed_trees_do_not_come(repo: Repo, tmp_path: Path, entries: list[bytes]) -> None:
    commit = repo.forge_commit(*[("100644", name, repo.blob()) for name in entries])
    assert refusal(f"file://{repo.path}", commit, tmp_path / "got") == ("git", "unsafe")


def test_old_faults_in_who_and_when_are_forgiven(repo: Repo, tmp_path: Path) -> None:
    tree = repo.forge("tree", b"100644 a\0" + bytes.fromhex(repo.blob()))
    head = f"tree {tree}\nauthor a <a@b> 1500000000 +051800\ncommitter c<c@d> 1500000000 +0000\n\nx\n"
    commit = repo.forge("commit", head.encode())
    repo.git("update-ref", "refs/heads/main", commit)
    assert names(bring(f"file://{repo.path}", commit, tmp_path / "got"), commit) == ["a"]


@pytest.mark.parametrize("key", ["url", "path"])
def test_hostile_gitmodules_do_not_come(repo: Repo, tmp_path: Path, key: str) -> None:
    said = {"path": "sub", "url": "https://example.org/x", key: "-u./payload"}
    repo.write(".gitmodules", f'[submodule "s"]\n\tpath = {said["path"]}\n\turl = {said["url"]}\n')
    commit = repo.commit()
    assert refusal(f"file://{repo.path}", commit, tmp_path / "got") == ("git", "unsafe")


def test_nothing_that_a_repository_says_is_run(repo: Repo, tmp_path: Path) -> None:
    """Hooks, filters, monitors, pack hooks, promised objects behind a remote helper: of theirs and of the caller's."""
    commit = repo.commit({"a": "1"})
    ran = tmp_path / "ran"
    touch = f"touch {ran}"
    for name in ("post-checkout", "pre-receive", "reference-transaction", "post-index-change", "post-update"):
        repo.write(f".git/hooks/{name}", f"#!/bin/sh\n{touch}\n", mode=0o755)
    for key, value in {
        "core.fsmonitor": touch,
        "uploadpack.packObjectsHook": touch,
        "filter.x.smudge": touch,
        "core.alternateRefsCommand": touch,
        "core.sshCommand": touch,
        "core.gitProxy": touch,
        "extensions.partialClone": "evil",
        "core.repositoryFormatVersion": "1",
        "remote.evil.url": f"ext::sh -c touch% {ran}",
        "remote.evil.promisor": "true",
        "remote.evil.uploadpack": touch,
    }.items():
        repo.git("config", key, value)
    assert names(bring(f"file://{repo.path}", commit, tmp_path / "got"), commit) == ["a"]
    blob = repo.git("rev-parse", "HEAD:a")
    (repo.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    assert refusal(f"file://{repo.path}", commit, tmp_path / "again")[0] in ("git", "fetch")
    assert not ran.exists()


def test_the_callers_own_settings_do_not_count(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = repo.commit({"a": "1"})
    config = tmp_path / "config"
    config.write_text(f'[url "file:///nonexistent"]\n\tinsteadOf = file://{repo.path}\n[core]\n\thooksPath = /x\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nonexistent")
    monkeypatch.setenv("GIT_ALTERNATE_OBJECT_DIRECTORIES", "/nonexistent")
    assert names(bring(f"file://{repo.path}", commit, tmp_path / "got"), commit) == ["a"]


@pytest.mark.parametrize("address", ["ext::sh -c id", "--upload-pack=x", "ssh://-oProxyCommand=x/y", "file:///../x"])
def test_hostile_addresses_are_not_followed(tmp_path: Path, address: str) -> None:
    assert refusal(address, "1" * 40, tmp_path / "got") == ("git", "unsafe")
    assert not (tmp_path / "got").exists()


def test_refs(repo: Repo, tmp_path: Path) -> None:
    one = repo.commit({"a": "1"})
    two = repo.commit({"a": "2"})
    repo.git("tag", "-am", "annotated", "v1", one)
    repo.git("tag", "-am", "of a tag", "outer", "v1")
    repo.git("tag", "plain", one)
    repo.git("branch", "v1", two)
    repo.git("branch", "side/way", one)
    repo.git("update-ref", f"refs/heads/{one}", two)
    repo.git("update-ref", "refs/changes/7", one)
    said = {
        "HEAD": two, "main": two, "v1": one, "outer": one, "plain": one, "heads/v1": two, "refs/tags/v1": one,
        "side/way": one, "changes/7": one, one: one, one[:9]: one, "HEAD~1": one, "main^": one, "v1^{}": one, "@": two,
        repo.git("rev-parse", "refs/tags/v1"): one,
    }  # fmt: skip
    for number, (ref, commit) in enumerate(said.items()):
        assert resolve(repo, ref, tmp_path / f"names{number}") == commit, ref


def test_refs_that_are_none(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a": "1"})
    bad = {"nope": "ref", "HEAD~9": "ref", "1" * 40: "ref", "": "unsafe", "--upload-pack=x": "unsafe", "a\rb": "unsafe"}
    for number, (ref, reason) in enumerate([*bad.items(), (repo.blob(), "ref"), (repo.git("rev-parse", ":/"), "ref")]):
        with pytest.raises(WarpforgeError) as caught:
            resolve(repo, ref, tmp_path / f"names{number}")
        assert (caught.value.code, caught.value.reason) == ("warpforge-error-git", reason), ref


def test_a_tag_of_a_blob_is_no_commit(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a": "1"})
    repo.git("tag", "blob", repo.blob())
    repo.git("tag", "-am", "x", "tree", repo.git("rev-parse", "HEAD^{tree}"))
    for name in ("blob", "tree"):
        found = resolve(repo, name, tmp_path / f"names-{name}")
        assert refusal(f"file://{repo.path}", found, tmp_path / name) in (("fetch", "not-found"), ("fetch", "net"))


def test_a_ref_that_moves_after_it_was_resolved(repo: Repo, tmp_path: Path) -> None:
    one = repo.commit({"a": "1"})
    found = resolve(repo, "main", tmp_path / "names")
    repo.git("checkout", "-q", "--orphan", "other")
    repo.commit({"a": "2"})
    repo.git("branch", "-f", "main", "other")
    assert found == one
    assert names(bring(f"file://{repo.path}", found, tmp_path / "got"), found) == ["a"]
    repo.git("update-ref", "-d", "refs/heads/main")
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")
    assert refusal(f"file://{repo.path}", one, tmp_path / "gone") == ("fetch", "not-found")


def test_sha256(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo", "--object-format=sha256")
    commit = repo.commit({"a": "1"})
    assert len(commit) == 64
    assert resolve(repo, "HEAD", tmp_path / "names") == resolve(repo, "HEAD~0", tmp_path / "others") == commit
    assert names(bring(f"file://{repo.path}", commit, tmp_path / "got"), commit) == ["a"]
    assert refusal(f"file://{repo.path}", "1" * 40, tmp_path / "short")[0] == "fetch"


def test_a_password_goes_to_its_place_alone(repo: Repo, tmp_path: Path) -> None:
    commit = repo.commit({"a": "1"})
    basic = "Basic bWU6c2VjcmV0"  # me:secret
    with http_repositories(tmp_path, authorization=basic) as url:
        host = url.removeprefix("http://")
        bare = bring(f"http://me:secret@{host}/repo", commit, tmp_path / "got")
        assert names(bare, commit) == ["a"]
        kept = b"".join(path.read_bytes() for path in (tmp_path / "got").rglob("*") if path.is_file())
        assert b"secret" not in kept and b"bWU6" not in kept
        assert refusal(f"{url}/repo", commit, tmp_path / "none") == ("fetch", "net")
        assert refusal(f"http://me:wrong-secret@{host}/repo", commit, tmp_path / "wrong") == ("fetch", "net")
        seen: list[str | None] = []

        def note(handler: http.server.BaseHTTPRequestHandler) -> bool:
            seen.append(handler.headers.get("Authorization"))
            return False

        with http_repositories(tmp_path, before=note) as other, redirecting(other) as first:
            place = first.replace("http://", "http://me:secret@")
            assert names(bring(f"{place}/repo", commit, tmp_path / "moved"), commit) == ["a"]
        assert seen and set(seen) == {None}


def test_redirects_by_the_policy_of_every_mirror(repo: Repo, tmp_path: Path) -> None:
    commit = repo.commit({"a": "1"})
    for goal in ("file:///etc", "ssh://127.0.0.1/x", "https://127.0.0.1:1"):
        with redirecting(goal) as url:
            assert refusal(f"{url}/repo", commit, tmp_path / "got")[0] == "fetch"

    def later(handler: http.server.BaseHTTPRequestHandler) -> bool:
        """The second question of git is sent elsewhere: it does not go there."""
        if handler.command != "POST":
            return False
        handler.send_response(302)
        handler.send_header("Location", "http://127.0.0.1:1/")
        handler.end_headers()
        return True

    with http_repositories(tmp_path, before=later) as url:
        assert refusal(f"{url}/repo", commit, tmp_path / "got")[0] == "fetch"


def test_a_repository_of_the_world_does_not_send_us_into_our_own_network(repo: Repo, tmp_path: Path) -> None:
    commit = repo.commit({"a": "1"})
    with http_repositories(tmp_path) as url:
        parsed = parse_git_url(f"{url}/repo")
        for network, reason in (("public", "policy"), ("private", "policy"), ("loopback", "")):
            remote = GitRemote(parsed, ACCESS, network)
            ware = WareId("git", commit)
            if not reason:
                remote.bring(ware, tmp_path / network, lambda done, total: None)
                inner = remote.submodule("../other")
                with pytest.raises(WarpforgeError) as caught:
                    inner.bring(ware, tmp_path / network / "x", lambda done, total: None)
                assert caught.value.reason == "not-found", "it is asked: as near as its own"
                continue
            with pytest.raises(WarpforgeError) as caught:
                remote.bring(ware, tmp_path / network, lambda done, total: None)
            assert (caught.value.code, caught.value.reason) == ("warpforge-error-fetch", reason)


def test_what_may_pass_is_tried_again(repo: Repo, tmp_path: Path) -> None:
    commit = repo.commit({"a": "1"})
    left = {"GET": 1, "POST": 1}

    def busy(handler: http.server.BaseHTTPRequestHandler) -> bool:
        if not left[handler.command]:
            return False
        left[handler.command] -= 1
        handler.send_error(503)
        return True

    with http_repositories(tmp_path, before=busy) as url:
        assert names(bring(f"{url}/repo", commit, tmp_path / "got"), commit) == ["a"]
    assert left == {"GET": 0, "POST": 0}


def test_a_server_that_stalls(repo: Repo, tmp_path: Path) -> None:
    commit = repo.commit({"a": "1"})
    access = Access(QUICK._replace(stall=1.0, tries=1))
    release = threading.Event()

    def stall(handler: http.server.BaseHTTPRequestHandler) -> bool:
        if handler.command == "POST":
            release.wait(60)
        return False

    with http_repositories(tmp_path, before=stall) as url:
        begin = time.monotonic()
        assert refusal(f"{url}/repo", commit, tmp_path / "got", access) == ("fetch", "net")
        assert time.monotonic() - begin < 50
        release.set()
    with silent_server() as port:
        assert refusal(f"git://127.0.0.1:{port}/repo", commit, tmp_path / "mute", access) == ("fetch", "net")
    assert wait_until(lambda: not running(str(tmp_path)))  # whom it killed has yet to die


def test_what_is_too_large_is_not_taken(repo: Repo, tmp_path: Path) -> None:
    repo.write("large", os.urandom(3 << 20))
    commit = repo.commit()
    access = Access(QUICK._replace(largest=1 << 20))
    assert refusal(f"file://{repo.path}", commit, tmp_path / "got", access) == ("fetch", "size")


def test_places_that_are_no_repositories(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    commit = "1" * 40
    assert refusal(f"file://{tmp_path}/plain", commit, tmp_path / "1") == ("fetch", "net")
    assert refusal(f"file://{tmp_path}/nothing", commit, tmp_path / "2") == ("fetch", "not-found")
    assert refusal("http://127.0.0.1:1/x", commit, tmp_path / "3") == ("fetch", "net")
    assert refusal("git://127.0.0.1:1/x", commit, tmp_path / "4") == ("fetch", "net")
    assert refusal("file:///x", "short", tmp_path / "5") == ("fetch", "policy")

    def portal(handler: http.server.BaseHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"<html>please log in")
        return True

    with http_repositories(tmp_path, before=portal) as url:
        assert refusal(f"{url}/x", commit, tmp_path / "6") == ("fetch", "net")
    with http_repositories(tmp_path) as url:
        assert refusal(f"{url}/x", commit, tmp_path / "7") == ("fetch", "not-found")


@contextmanager
def redirecting(goal: str) -> Iterator[str]:
    """A server that sends everybody to the same path elsewhere."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(301)
            self.send_header("Location", goal + self.path)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def silent_server() -> Iterator[int]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def running(text: str) -> list[str]:
    """Processes of git whose command line holds a text."""
    said = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in said.splitlines() if line.startswith(("git ", "/bin/sh")) and text in line]
