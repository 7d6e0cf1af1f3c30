"""Secrets are masked as other languages write them, too: each spelling is made by who usually makes it."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from warpforge.engine.secrets import Veil, spell_all, veil

SECRET = """it's <a> "s&cret" of/$PATH\\+é, and so long that base64 breaks it more than once: 0123456789~!*()"""
LINES = "-----BEGIN KEY-----\nAbCd&' /12\nshort\n-----END KEY-----\n"

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda text: quote(text, safe=""),
    "path": quote,
    "lower": lambda text: re.sub("%..", lambda match: match[0].lower(), quote(text, safe="")),
    "form": quote_plus,
    "component": lambda text: quote(text, safe="!~*'()"),
    "json": json.dumps,
    "json in utf-8": lambda text: json.dumps(text, ensure_ascii=False),
    "shell": shlex.quote,
    "double quotes": lambda text: "".join(f"\\{letter}" if letter in '"$`\\' else letter for letter in text),
    "xml": html.escape,
    "basic": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "one more": lambda text: base64.b64encode(f"user2:{text}".encode()).decode(),
    "for urls": lambda text: base64.urlsafe_b64encode(f"!{text}?".encode()).decode(),
    "broken": lambda text: base64.encodebytes(text.encode()).decode(),
    "pem": lambda text: (
        subprocess.run(["base64", "-w64"], input=text, capture_output=True, text=True, check=True).stdout
    ),
    "hex": lambda text: text.encode().hex(),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_nothing_of_it_is_left(name: str) -> None:
    spellings = spell_all({"a": SECRET.encode()})
    shown = SPELLINGS[name](SECRET).encode()
    masked = veil(b"before " + shown + b" after", spellings)
    assert b"***" in masked and masked.startswith(b"before ") and masked.endswith(b" after")
    left = masked.replace(b"***", b"").removeprefix(b"before ").removesuffix(b" after")
    assert len(left.strip(b"=\n\"'")) <= len(b"dXNlcjo") + 4  # what is not of it, or depends on what is not
    cover = Veil(spellings)
    pieces = b"".join(cover.feed(shown[at : at + 7]) for at in range(0, len(shown), 7)) + cover.flush()
    assert pieces.replace(b"***", b"") == veil(shown, spellings).replace(b"***", b"")


def test_lines_are_secrets_too_unless_they_are_short() -> None:
    spellings = spell_all({"a": LINES.encode()})
    said = json.dumps("AbCd&' /12").encode() + b" short " + quote("AbCd&' /12").encode() + b" " + b"-----END KEY-----"
    assert veil(said, spellings) == b'"***" short *** ***'
