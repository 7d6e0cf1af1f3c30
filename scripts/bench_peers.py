"""A tree taken into a store, whole commands: 20 000 small files, first when nothing is there, then again unchanged.

Ours ingests a directory as a plot does. Each peer has a store of its own beside it and its own ways: git and ostree
compress single files, borg and casync cut files into chunks, nix-store copies the tree as it is. No row has a budget.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench_pack import make_small
from bench_row import SCRATCH, Row, Work, command, compare, shell

WARPFORGE = Path(sys.executable).parent / "warpforge"
ROUNDS = 3
SETTLING = 2.5  # seconds until what was written is old enough to be believed unchanged


class Peer(NamedTuple):
    """``begin`` makes an empty store, ``take`` takes the tree in; both are shell scripts over $TREE and $STORE."""

    tool: str
    title: str
    begin: str
    take: str


PEERS = (
    Peer("git", "git add", "git init -q $STORE", "git --git-dir=$STORE/.git --work-tree=$TREE add ."),
    Peer(
        "ostree",
        "ostree commit",
        "ostree --repo=$STORE init --mode=archive",
        "ostree --repo=$STORE commit -b tree --tree=dir=$TREE",
    ),
    Peer(
        "borg",
        "borg create",
        "borg init -e none $STORE",
        "borg create -C zstd,3 $STORE::{hostname}-{now:%s-%f} $TREE",
    ),
    Peer(
        "nix-store",
        "nix-store --add",
        "mkdir -p $STORE",
        "env NIX_REMOTE= NIX_STORE_DIR=$STORE/store NIX_STATE_DIR=$STORE/state NIX_LOG_DIR=$STORE/log "
        "NIX_LOCALSTATE_DIR=$STORE/var NIX_CONF_DIR=$STORE/etc nix-store --add $TREE",
    ),
    Peer(
        "casync",
        "casync make",
        "mkdir -p $STORE/chunks",
        "casync make --with=unix --store=$STORE/chunks $STORE/tree.caidx $TREE",
    ),
)


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="warpforge-bench-", dir=SCRATCH) as directory:
        base = Path(directory)
        make_small(base / "tree")
        time.sleep(SETTLING)
        ours = _Ours(base)
        for peer in PEERS:
            yield from _rows_of(peer, ours, base)


class _Ours:
    """A workspace whose plot ingests the tree."""

    def __init__(self, base: Path) -> None:
        self._root = base / "workspace"
        self._plot = {"inputs": {"source": f"ingest:dir:{base / 'tree'}"}, "steps": {}, "outputs": {}}
        env = {"PATH": os.environ["PATH"], "HOME": str(base)}
        self.take = command([WARPFORGE, "--quiet", "run", "plot.wf"], cwd=self._root, env=env)

    def begin(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)
        (self._root / ".warpforge").mkdir(parents=True)
        (self._root / ".warpforge" / "root").touch()
        (self._root / "plot.wf").write_text(json.dumps({"plot.v1": self._plot}))


def _rows_of(peer: Peer, ours: _Ours, base: Path) -> Iterator[Row]:
    store = base / "store"
    begin, take = (_script(text, base, store) for text in (peer.begin, peer.take))
    there = shutil.which(peer.tool) is not None

    def afresh() -> None:
        ours.begin()
        shutil.rmtree(store, ignore_errors=True)
        if there:
            begin()

    titled, needs = (peer.title, take), [peer.tool]
    yield compare("ingest T1", ours.take, titled, budget=None, needs=needs, rounds=ROUNDS, before=afresh)
    afresh()
    yield compare("ingest T1 again", ours.take, titled, budget=None, needs=needs, rounds=ROUNDS)


def _script(text: str, base: Path, store: Path) -> Work:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(base),
        "TREE": str(base / "tree"),
        "STORE": str(store),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
    }
    return shell(text, env=env)
