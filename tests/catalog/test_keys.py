"""Keys and envelopes: other tools read and verify them, and nothing that was changed is believed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest

from warpforge.catalog.envelope import Envelope, Signature, dump_envelope, load_envelope, pae
from warpforge.catalog.keys import PrivateKey, PublicKey, any_public, load_private, load_public
from warpforge.errors import Invalid, Missing, WarpforgeError

TYPE = "http://example.com/HelloWorld"  # the example of DSSE's specification
KEYS = [PrivateKey.generate() for _ in range(3)]
PUBLIC = [key.public for key in KEYS]


def signed(*keys: PrivateKey, body: bytes = b"hello world") -> Envelope:
    envelope = Envelope(TYPE, body)
    for key in keys:
        envelope = envelope.signed(key)
    return envelope


def test_what_is_signed_is_what_the_specification_says() -> None:
    assert pae(TYPE, b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


def test_a_key_survives_its_files(tmp_path: Path) -> None:
    path = str(tmp_path / "key")
    KEYS[0].save(path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert load_private(path).public == load_public(path + ".pub") == any_public(path) == PUBLIC[0]
    assert PublicKey.parse(str(PUBLIC[0])) == PublicKey.parse(PUBLIC[0].pem()) == PUBLIC[0]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_verifies_an_envelope(tmp_path: Path) -> None:
    KEYS[0].save(str(tmp_path / "key"))
    envelope = json.loads(dump_envelope(signed(KEYS[0])))
    (tmp_path / "sig").write_bytes(b64decode(envelope["signatures"][0]["sig"]))
    (tmp_path / "data").write_bytes(pae(envelope["payloadType"], b64decode(envelope["payload"])))
    verify = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "key.pub",
        "-rawin",
        "-in",
        "data",
        "-sigfile",
        "sig",
    ]
    subprocess.run(verify, cwd=tmp_path, check=True, capture_output=True)


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "key"
    KEYS[0].save(str(path))
    path.chmod(0o640)
    with pytest.raises(Invalid) as refused:
        load_private(str(path))
    assert refused.value.reason == "readable"


def test_no_key_is_replaced(tmp_path: Path) -> None:
    KEYS[0].save(str(tmp_path / "key"))
    for gone in ("key.pub", "key"):
        with pytest.raises(WarpforgeError, match="no key is replaced"):
            KEYS[1].save(str(tmp_path / "key"))
        (tmp_path / gone).rename(tmp_path / f"{gone}.kept")
    with pytest.raises(Missing):
        load_private(str(tmp_path / "key"))


@pytest.mark.parametrize("text", ["", "ed25519:", "ed25519:0", "rsa:abc", "-----BEGIN PUBLIC KEY-----", "ed25519:2g"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        PublicKey.parse(text)
    assert (refused.value.code, refused.value.reason) == ("warpforge-error-key-invalid", "form")


def test_a_private_key_is_not_given_away(tmp_path: Path) -> None:
    KEYS[0].save(str(tmp_path / "key"))
    with pytest.raises(Invalid, match="given to nobody"):
        load_public(str(tmp_path / "key"))


def test_so_many_of_the_keys_must_have_signed() -> None:
    both = load_envelope(dump_envelope(signed(KEYS[0], KEYS[1])), "it")
    assert both.verify(PUBLIC, 2, TYPE) == b"hello world"
    assert both.signers(PUBLIC) == {PUBLIC[0], PUBLIC[1]}
    for envelope, keys, threshold in (
        (both, PUBLIC, 3),
        (both, PUBLIC[1:], 2),
        (both, [], 0),
        (signed(KEYS[0], KEYS[0]), PUBLIC, 2),  # one key twice is one
        (both._replace(payload=b"hello World"), PUBLIC, 1),
        (Envelope(TYPE, b"", ()), PUBLIC, 0),
    ):
        with pytest.raises(Invalid) as refused:
            envelope.verify(keys, threshold, TYPE)
        assert refused.value.reason == "threshold"


def test_key_ids_are_only_hints() -> None:
    (one,) = signed(KEYS[0]).signatures
    unnamed = Envelope(TYPE, b"hello world", (Signature("", one.sig), Signature("", one.sig)))
    assert unnamed.signers(PUBLIC) == {PUBLIC[0]}
    lying = Envelope(TYPE, b"hello world", (Signature(PUBLIC[1].id, one.sig),))
    assert lying.signers(PUBLIC) == set()


def test_one_type_is_not_taken_for_another() -> None:
    with pytest.raises(Invalid) as refused:
        signed(KEYS[0]).verify(PUBLIC, 1, "application/json")
    assert refused.value.reason == "type"


MANY = ",".join(['{"sig": ""}'] * 65)


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "[]",
        '{"payload": "", "payloadType": ""}',
        '{"payload": 1, "payloadType": "", "signatures": []}',
        '{"payload": "?", "payloadType": "", "signatures": []}',
        '{"payload": "", "payloadType": "", "signatures": [1]}',
        '{"payload": "", "payloadType": "", "signatures": [' + MANY + "]}",
    ],
)
def test_what_is_no_envelope_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        load_envelope(text.encode(), "it")
    assert (refused.value.code, refused.value.reason) == ("warpforge-error-signature-invalid", "form")
