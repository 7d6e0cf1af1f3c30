"""Catalogs from git repositories: what comes, what is refused, and what of ours is kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from support.places import QUICK
from support.repositories import Repo, http_repositories

from warpforge.catalog.edit import add_item
from warpforge.catalog.tree import Catalog
from warpforge.engine.update import Updater
from warpforge.errors import WarpforgeError
from warpforge.mirror.policy import Access
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId
from warpforge.model.catalog import Release
from warpforge.pack.limits import DEFAULT

ONE, TWO = WareId.parse("ztar:one"), WareId.parse("ztar:two")
X = "a.org/x"


class Far:
    """A repository ``repo`` that is a catalog, and a root workspace that has it as ``lib``."""

    def __init__(self, base: Path) -> None:
        self.repo = Repo(base / "far")
        self.theirs = Catalog(self.repo.path)
        self.internal = base / "work" / ".warpforge"
        self.internal.mkdir(parents=True)
        self.ours = Catalog(self.internal / "catalogs" / "lib")
        self.publish(f"{X}:v1:item", ONE)

    def publish(self, ref: str, ware: WareId, *, force: bool = False) -> str:
        add_item(self.theirs, CatalogRef.parse(ref), ware, force=force)
        return self.repo.commit(message=ref)

    def updater(self, *, force: bool = False, entries: int = 200) -> Updater:
        return Updater(self.internal, Access(QUICK), force=force, limits=DEFAULT._replace(entries=entries))

    def install(self, address: str = "") -> None:
        assert self.updater().install("lib", address or str(self.repo.path)).state == "installed"

    def update(self, *, force: bool = False) -> str:
        return self.updater(force=force).update(self.ours).state

    def refusal(self, act: Callable[[], object]) -> tuple[str, str, str]:
        """Code, reason and message; what is here is as it was, and nothing is left over."""
        before = snapshot(self.internal / "catalogs")
        with pytest.raises(WarpforgeError) as caught:
            act()
        assert snapshot(self.internal / "catalogs") == before
        assert not (self.internal / "tmp").exists() or os.listdir(self.internal / "tmp") == []
        return caught.value.code.removeprefix("warpforge-error-"), caught.value.reason, caught.value.message


def snapshot(top: Path) -> dict[str, tuple[int, int]]:
    found = [*top.rglob("*")] if top.exists() else []
    return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in found}


@pytest.fixture
def far(tmp_path: Path) -> Far:
    return Far(tmp_path)


def items(catalog: Catalog, release: str, module: str = X) -> dict[str, WareId]:
    found = catalog.release(module, release)
    return found.items if found else {}


@pytest.mark.both
def test_a_catalog_comes_and_follows(far: Far) -> None:
    (far.repo.path / "README").write_text("read me")
    far.repo.commit()
    far.install()
    assert items(far.ours, "v1") == {"item": ONE}
    assert far.update() == "same"
    commit = far.publish(f"{X}:v2:item", TWO)
    far.publish("a.org/y:v1:item", TWO)
    (far.repo.path / "README").unlink()
    kept = (far.ours.path / X / "_releases/v1.json").stat().st_ino
    done = far.updater().update(far.ours)
    assert [(step.kind, f"{step.module}:{step.release}") for step in done.steps] == [
        ("added", f"{X}:v2"),
        ("added", "a.org/y:v1"),
    ]
    assert done.commit == far.repo.git("rev-parse", "HEAD") != commit
    assert [*far.ours.modules()] == [X, "a.org/y"]
    assert (far.ours.path / X / "_releases/v1.json").stat().st_ino == kept, "what stays is not written again"
    far.repo.commit()
    assert far.update() == "updated" and not (far.ours.path / "README").exists()
    assert os.listdir(far.internal / "tmp") == []
    # git finds all of it sound, and no difference between the commit and the files
    here = ["git", "-C", str(far.ours.path), "-c", "safe.directory=*"]
    assert subprocess.run([*here, "status", "--porcelain"], capture_output=True, check=True).stdout == b""
    subprocess.run([*here, "fsck", "--strict"], check=True, capture_output=True)


def test_what_git_cloned_is_updated_and_keeps_what_is_its_owners(far: Far) -> None:
    far.ours.path.parent.mkdir()
    far.repo.git("clone", "-q", str(far.repo.path), str(far.ours.path))
    canary = far.internal / "canary"
    hook = far.ours.path / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
    hook.chmod(0o755)
    with (far.ours.path / ".git/config").open("a") as config:
        config.write(f'[core]\n\tfsmonitor = "touch {canary}"\n[filter "x"]\n\tsmudge = touch {canary}\n')
        config.write(f"[include]\n\tpath = {canary}\n[remote \"origin\"]\n\tuploadpack = touch {canary}\n")  # fmt: skip
    (far.repo.path / ".gitattributes").write_text("* filter=x\n")
    last = far.publish(f"{X}:v2:item", TWO)
    assert far.update() == "updated"
    assert not canary.exists() and hook.exists()
    options = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false"]
    log = ["git", "-C", str(far.ours.path), *options, "log", "--format=%H"]
    commits = subprocess.run(log, capture_output=True, text=True, check=True).stdout.split()
    assert commits[0] == last and len(commits) == 2, "a clone with its history keeps it"
    assert far.update() == "same"


def test_releases_may_get_more_but_lose_nothing(far: Far) -> None:
    far.install()
    far.publish(f"{X}:v1:more", TWO)
    release = Release("v1", items(far.theirs, "v1"), {"hazard": "CVE-1"})
    from warpforge.catalog.edit import edit

    with edit(far.theirs, X) as module:
        module.put_release(release)
    far.repo.commit()
    (step,) = far.updater().update(far.ours).steps
    assert (step.kind, step.how) == ("annotated", "more, hazard: CVE-1")
    assert far.ours.release(X, "v1") == release


@pytest.mark.parametrize("how", ["rewritten", "gone", "module gone", "unrelated history", "back in time"])
def test_what_was_published_is_not_taken_back(far: Far, how: str) -> None:
    far.publish(f"{X}:v2:item", TWO)
    far.install()
    if how == "rewritten":
        far.publish(f"{X}:v2:item", ONE, force=True)
    elif how == "module gone":
        shutil.rmtree(far.repo.path / X)
        far.publish("a.org/y:v1:item", TWO)
    elif how == "back in time":
        far.repo.git("reset", "-q", "--hard", "HEAD~1")
    else:
        far.repo.git("checkout", "-q", "--orphan", "other")
        far.repo.commit(message="begins anew")
        shutil.rmtree(far.repo.path / X)
        far.publish(f"{X}:v1:item", ONE)
        if how == "unrelated history":
            far.publish(f"{X}:v2:item", TWO)
        far.repo.git("branch", "-M", "main")
    if how == "unrelated history":  # a force push that takes nothing back: the documents count, not the commits
        assert far.update() == "updated"
        return
    code, reason, message = far.refusal(far.update)
    assert (code, reason) == ("catalog-invalid", "rollback") and f"{X}:v2" in message
    assert far.update(force=True) == "updated"
    assert far.update() == "same"


@pytest.mark.parametrize("how", ["release", "mirrors", "commit"])
def test_what_was_changed_here_is_not_lost(far: Far, how: str) -> None:
    far.ours.path.parent.mkdir()
    far.repo.git("clone", "-q", str(far.repo.path), str(far.ours.path))
    ref, address = CatalogRef.parse(f"{X}:v9:item"), WarehouseAddr.parse("https://a.org/x")
    if how == "release":
        add_item(far.ours, ref, TWO)
    else:
        add_item(far.ours, ref._replace(release="v1"), ONE, address=address, force=True)
    if how == "commit":
        far.repo.git("-C", str(far.ours.path), "add", "-A")
        far.repo.git("-C", str(far.ours.path), "commit", "-qm", "mine")
        assert far.update() == "same", "as long as the repository has nothing that is not beneath it"
    far.repo.write(f"{X}/_mirrors.json", '{"catalogmirrors.v1":{"byWare":{}}}')
    far.publish(f"{X}:v2:item", TWO)
    code, reason, message = far.refusal(far.update)
    assert (code, reason) == ("already-exists", "changed") and X in message
    assert far.update(force=True) == "updated"
    assert [*(far.ours.module(X) or pytest.fail("no module")).releases] == ["v1", "v2"]


def test_what_only_we_have_is_carried_along(far: Far) -> None:
    far.install()
    add_item(far.ours, CatalogRef.parse("a.org/mine:v1:item"), TWO)
    (far.ours.path / "_html").mkdir()
    (far.ours.path / "_html/index.html").write_text("page")
    far.publish(f"{X}:v2:item", TWO)
    assert far.update(force=True) == "updated"
    assert items(far.ours, "v1", "a.org/mine") == {"item": TWO}
    assert (far.ours.path / "_html/index.html").read_text() == "page"


def _forge(far: Far, *entries: tuple[str, bytes, str]) -> None:
    """A commit with these entries beside what is there."""
    listed = far.repo.git("ls-tree", "HEAD").splitlines()
    rows = [(mode.split()[0].lstrip("0"), name.encode(), mode.split()[2])
            for mode, _, name in (line.partition("\t") for line in listed)]  # fmt: skip
    far.repo.forge_commit(*sorted((*rows, *entries), key=lambda row: row[1] + b"/" * (row[0] == "40000")))


HOSTILE: dict[str, tuple[Callable[[Far], object], str, str]] = {
    "symlink out of the tree": (lambda far: _forge(far, ("120000", b"up", far.repo.blob(b"../.."))), "git", "unsafe"),
    "symlink as a module": (lambda far: _forge(far, ("120000", b"b.org", far.repo.blob(b"/etc"))), "git", "unsafe"),
    "dot dot": (lambda far: _forge(far, ("100644", b"..", far.repo.blob())), "git", "unsafe"),
    "slash": (lambda far: _forge(far, ("100644", b"../evil", far.repo.blob())), "git", "unsafe"),
    "dot git": (lambda far: _forge(far, ("40000", b".git", far.repo.git("rev-parse", "HEAD:a.org"))), "git", "unsafe"),
    "dot git by another name": (lambda far: _forge(far, ("100644", b"GIT~1", far.repo.blob())), "git", "unsafe"),
    "submodule": (lambda far: _forge(far, ("160000", b"sub", "1" * 40)), "git", "unsafe"),
    "case": (lambda far: _forge(far, ("100644", b"README", far.repo.blob()), ("100644", b"readme", far.repo.blob())),
             "git", "unsafe"),
    "composed": (lambda far: _forge(far, ("100644", "e\u0301".encode(), far.repo.blob()),
                                    ("100644", "\xe9".encode(), far.repo.blob())), "git", "unsafe"),
    "large blob": (lambda far: _forge(far, ("100644", b"z", far.repo.blob(bytes(17 << 20)))), "ware-limit", "bytes"),
    "tree bomb": (lambda far: _bomb(far), "ware-limit", "entries"),
    "branch vanished": (lambda far: far.repo.git("branch", "-M", "other"), "git", "ref"),
    "repository vanished": (lambda far: shutil.rmtree(far.repo.path), "fetch", "not-found"),
    "broken document": (lambda far: far.repo.commit({f"{X}/_module.json": "{"}), "catalog-invalid", "parse"),
    "wrong id": (lambda far: far.repo.commit({f"{X}/_releases/v1.json":
                 '{"releaseName": "v1", "items": {"item": "ztar:evil"}, "metadata": {}}'}),
                 "catalog-invalid", "hash"),
}  # fmt: skip


def _bomb(far: Far) -> None:
    """Ten levels of ten names for the same tree: a few hundred bytes, ten thousand million files."""
    tree = far.repo.forge("tree", b"100644 f\0" + bytes.fromhex(far.repo.blob()))
    for _ in range(10):
        tree = far.repo.forge("tree", b"".join(b"40000 %d\0" % n + bytes.fromhex(tree) for n in range(10)))
    _forge(far, ("40000", b"bomb", tree))


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_repository_changes_nothing(far: Far, how: str) -> None:
    act, code, reason = HOSTILE[how]
    far.install()
    act(far)
    found = far.refusal(far.update)
    assert found[:2] == (code, reason), found
    shutil.rmtree(far.ours.path)
    if how != "branch vanished":  # a new catalog has the branch that there is
        assert far.refusal(lambda: far.install())[:2] == (code, reason)


ADDRESSES = {
    "ext::sh -c 'touch {canary}'": "unsafe",
    "--upload-pack=touch {canary}": "unsafe",
    "-u{canary}": "unsafe",
    "ssh://-oProxyCommand=touch%20{canary}/x": "unsafe",
    "-oProxyCommand=x:y": "unsafe",
    "file://elsewhere/x": "unsafe",
    "fd::3": "unsafe",
    "https://a.org/x?y": "unsafe",
    "https://a.org/x\r": "unsafe",
    "relative/path": "unsafe",
    "/nowhere/at/all": "not-found",
    "git@localhost:../x": "unsafe",
}


def test_addresses_that_are_not_followed(far: Far, tmp_path: Path) -> None:
    """Whether they come from the command line or from the settings of a clone."""
    canary = tmp_path / "canary"
    for text, reason in ADDRESSES.items():
        address = text.replace("{canary}", str(canary))
        assert far.refusal(partial(far.install, address))[1] == reason, address
        clone = Catalog(far.internal / "catalogs" / "clone")
        far.repo.git("init", "-q", "-b", "main", str(clone.path))
        far.repo.git("-C", str(clone.path), "config", "remote.origin.url", address)
        assert far.refusal(partial(far.updater().update, clone))[1] == reason, address
        shutil.rmtree(clone.path)
    assert not canary.exists()


def test_a_server_that_dies_on_the_way(far: Far) -> None:
    asked: list[str] = []
    dead = False

    def before(handler: BaseHTTPRequestHandler) -> bool:
        """The first question is which branches there are; what follows is not answered."""
        asked.append(handler.command)
        if dead and asked.count("POST") > 1:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n0011packfile")
            handler.close_connection = True
        return dead and asked.count("POST") > 1

    with http_repositories(far.repo.path.parent, before=before) as address:
        far.install(f"{address}/far")
        far.publish(f"{X}:v2:item", TWO)
        asked.clear()
        dead = True
        code, reason, _ = far.refusal(far.update)
        assert (code, reason) == ("fetch", "net") and asked.count("POST") > 1
        dead = False
        assert far.update() == "updated"
    assert far.refusal(far.update)[:2] == ("fetch", "net")


@pytest.mark.parametrize("how", ["detached", "file", "link", "busy", "no remote"])
def test_clones_that_are_left_alone(far: Far, how: str) -> None:
    far.install()
    git = far.ours.path / ".git"
    if how == "detached":
        (git / "HEAD").write_text("1" * 40)
    elif how == "file":
        shutil.rmtree(git)
        git.write_text("gitdir: /etc")
    elif how == "link":
        git.rename(far.internal / "git")
        git.symlink_to(far.internal / "git")
    elif how == "busy":
        (git / "index.lock").touch()
    else:
        (git / "config").write_text("[core]\n")
        assert far.update() == "local"
        return
    assert far.refusal(far.update)[:2] == ("git", "busy" if how == "busy" else "clone")
