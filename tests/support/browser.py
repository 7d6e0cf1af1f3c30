"""Debian's chromium, headless: what it makes of a page, at the width of a phone or of a desk."""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

# a page that shows another in a frame of so many pixels, and writes down what it finds there
PROBE = """<!doctype html><body style="margin:0">
<iframe id=f src="/page.html" style="width:WIDTHpx;height:900px;border:0"></iframe><pre id=out></pre><script>
f.onload = () => { const d = f.contentDocument, e = d.documentElement; out.textContent = JSON.stringify({
  scroll: e.scrollWidth, width: f.clientWidth, title: d.title, text: d.body.innerText,
  boxes: d.querySelectorAll("svg rect").length, open: [...d.querySelectorAll("details[open]")].map(x => x.id),
  links: [...d.querySelectorAll("a")].map(x => x.getAttribute("href")),
  bars: [...d.querySelectorAll(".track i")].map(x => x.getBoundingClientRect().width),
  font: getComputedStyle(d.querySelector("summary") || d.body).fontSize, scripts: d.scripts.length }); };
</script>"""


class Looked(dict[str, Any]):
    """What the probe found; ``asked`` are the paths that the page, and nobody else, asked for."""

    asked: list[str]


def look(page: Path, width: int) -> Looked:
    """A page in chromium. A browser that is missing fails the test: set-up could have installed it."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with tempfile.TemporaryDirectory() as base:
        Path(base, "page.html").write_bytes(page.read_bytes())
        Path(base, "probe.html").write_text(PROBE.replace("WIDTH", str(width)))
        handler = functools.partial(Handler, directory=base)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            try:
                dom = _chromium(f"http://127.0.0.1:{server.server_port}/probe.html", base)
            finally:
                server.shutdown()
    _, _, rest = dom.partition('<pre id="out">')
    text, _, _ = rest.partition("</pre>")
    assert text, dom[:2000]
    from html import unescape

    found = Looked(json.loads(unescape(text)))
    found.asked = [path for path in asked if path not in ("/probe.html", "/page.html", "/favicon.ico")]
    return found


def _chromium(url: str, base: str) -> str:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    quiet = ["--disable-extensions", "--disable-sync", "--disable-component-update", f"--user-data-dir={base}/profile"]
    # nothing but loopback has a name
    nowhere = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    argv = ["chromium", *flags, *quiet, nowhere, "--virtual-time-budget=10000", "--dump-dom", url]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=90)
    except FileNotFoundError:
        pytest.fail("chromium is not installed: `make setup` installs it")
    return done.stdout.decode()
