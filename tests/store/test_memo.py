"""The memo: what is believed, and what is set aside."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.actor import store_text

from warpforge.errors import Internal
from warpforge.model.atoms import Literal, WareId
from warpforge.model.run import RunRecord
from warpforge.store.store import Store

WARE = WareId.parse("tar:4z9DCTxoKkStqXQRwtf9nimpfQQ36dbndDsAPCQgECfbXt3edanUrsVKCjE9TkX2v9")
RECORD = RunRecord("guid", 1700000000, "zFormula", 0, {"out": WARE, "text": Literal("a: b")})
GOOD = {
    "guid": "guid",
    "time": 1700000000,
    "formulaID": "zFormula",
    "exitcode": 0,
    "results": {"out": f"ware:{WARE}", "text": "literal:a: b"},
}


def put(store: Store, text: str | bytes) -> Path:
    path = Path(store.layout.memo("zFormula"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_record_comes_back_and_is_the_originals_five_fields(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert store.memo.load("zFormula") is None
        store.memo.save(RECORD)
        assert store.memo.load("zFormula") == RECORD
        assert json.loads(Path(store.layout.memo("zFormula")).read_bytes()) == GOOD
        assert list(store.memo.formula_ids()) == ["zFormula"]
        store.memo.forget("zFormula")
        assert store.memo.load("zFormula") is None
        assert store.findings() == []


def test_one_that_the_original_wrote_is_trusted(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        put(store, json.dumps(GOOD, indent="\t"))
        assert store.memo.load("zFormula") == RECORD


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        json.dumps({**GOOD, "formulaID": "zOther"}),
        json.dumps({**GOOD, "exitcode": 1}),
        json.dumps({**GOOD, "exitcode": None}),
        json.dumps({**GOOD, "extra": 1}),
        json.dumps({k: v for k, v in GOOD.items() if k != "exitcode"}),
        json.dumps({**GOOD, "results": {"out": "tar:abc"}}),
        json.dumps({**GOOD, "results": {"out": "ware:???"}}),
        json.dumps({**GOOD, "results": []}),
        b"[" * 100_000,
    ],
)
def test_a_bad_one_is_set_aside_and_told_once(tmp_path: Path, text: str | bytes) -> None:
    with Store(tmp_path) as store:
        path = put(store, text)
        assert store.memo.load("zFormula") is None
        assert not path.exists()
        [finding] = store.findings()
        assert (finding.kind, finding.name) == ("memo", "zFormula")
        assert finding.code in ("serialization", "wareid-invalid", "datatoonew")
        assert Path(finding.path).parent == Path(store.layout.quarantine)
        assert Path(finding.path).read_bytes() == (text if isinstance(text, bytes) else text.encode())
        assert store.memo.load("zFormula") is None
        assert store.findings() == []


def test_the_engine_may_reject_one_that_does_not_fit(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.memo.save(RECORD)
        store.memo.reject("zFormula", "it lacks the output `log`")
        assert store.memo.load("zFormula") is None
        assert "lacks the output" in store.findings()[0].message


def test_failures_and_secrets_are_not_memoised(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert store.memo.load("") is None
        for record in (RunRecord("g", 1, "", 0, {}), RunRecord("g", 1, "zFormula", 1, {})):
            with pytest.raises(Internal):
                store.memo.save(record)


def test_a_directory_in_place_of_a_memo_is_no_memo(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        os.makedirs(store.layout.memo("zFormula"))
        assert store.memo.load("zFormula") is None
        assert len(store.findings()) == 1


def test_answering_from_the_memo_writes_nothing_and_opens_no_index(tmp_path: Path) -> None:
    with Store(tmp_path) as store, store.use():
        ware = store_text(store, "text")
        store.memo.save(RunRecord("guid", 1, "zFormula", 0, {"out": ware}))
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    with Store(tmp_path) as store, store.use():
        assert store.memo.load("zFormula")
        assert store.has(ware)
        assert "index" not in vars(store)
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before
