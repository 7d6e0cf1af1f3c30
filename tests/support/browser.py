"""Debian's chromium, headless: what it makes of a page, at the width of a phone or of a desk."""

from __future__ import annotations

import functools
import http.server
import json
import os
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

SECONDS = 300  # on a busy machine

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


# one page after the other in a frame; the text in the field of a search is typed when it is said after "#type="
WALK = """<!doctype html><body style="margin:0"><iframe id=f style="width:WIDTHpx;height:900px;border:0"></iframe>
<pre id=out></pre><script>
const pages = PAGES, found = {}, types = t => { const q = f.contentDocument.getElementById("q"); q.value = t;
  q.dispatchEvent(new Event("input")); };
const next = () => { const page = pages.shift(); if (!page) { out.textContent = JSON.stringify(found); return; }
  const [url, typed] = page.split("#type="); f.onload = () => { if (typed) types(typed);
    const d = f.contentDocument, e = d.documentElement; found[page] = {
      scroll: e.scrollWidth, width: f.clientWidth, title: d.title, text: d.body.innerText,
      wide: [...d.querySelectorAll("body *")].filter(x => !x.closest(".graph, pre, code, .hidden, .skip")
        && x.getBoundingClientRect().right > f.clientWidth + 1).map(x => x.outerHTML.slice(0, 200)),
      small: [...d.querySelectorAll("main button")].filter(x => x.getBoundingClientRect().height < 22).length,
      buttons: d.querySelectorAll("button").length, paper: getComputedStyle(d.body).backgroundColor,
      said: (d.getElementById("results") || d.body).textContent,
      results: [...d.querySelectorAll("#results li > div:first-child > a")].map(x => [x.textContent, x.href]) };
    next(); };
  f.src = url; };
next();
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

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as base:
        Path(base, "page.html").write_bytes(page.read_bytes())
        Path(base, "probe.html").write_text(PROBE.replace("WIDTH", str(width)))
        handler = functools.partial(Handler, directory=base)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            try:
                dom = _chromium(f"http://127.0.0.1:{server.server_port}/probe.html", base)
            finally:
                server.shutdown()
    found = Looked(_output(dom))
    found.asked = [path for path in asked if path not in ("/probe.html", "/page.html", "/favicon.ico")]
    return found


def walk(server: str, directory: Path, pages: list[str], width: int) -> dict[str, Any]:
    """Pages of a site in one chromium, by their paths; ``page#type=TEXT`` types into its search.

    ``server``: where the directory is served, in which the page that looks at the others is written.
    """
    walker = WALK.replace("WIDTH", str(width)).replace("PAGES", json.dumps(pages))
    directory.joinpath("walk.html").write_text(walker)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as base:
        dom = _chromium(f"{server}/walk.html", base)
    found: dict[str, Any] = _output(dom)
    return found


def read_file(page: Path, query: str) -> str:
    """What chromium makes of a page that is a file, after its scripts."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as base:
        return _chromium(f"{page.as_uri()}{query}", base)


def _output(dom: str) -> Any:
    from html import unescape

    _, _, rest = dom.partition('<pre id="out">')
    text, _, _ = rest.partition("</pre>")
    assert text, dom[:2000]
    return json.loads(unescape(text))


def _chromium(url: str, base: str) -> str:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    quiet = ["--disable-extensions", "--disable-sync", "--disable-component-update", f"--user-data-dir={base}/profile"]
    # nothing but loopback has a name
    nowhere = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    argv = ["chromium", *flags, *quiet, nowhere, "--virtual-time-budget=10000", "--dump-dom", url]
    try:
        browser = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    except FileNotFoundError:
        pytest.fail("chromium is not installed: `make setup` installs it")
    try:
        return browser.communicate(timeout=SECONDS)[0].decode()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(browser.pid, signal.SIGKILL)  # its processes, too: they write to the profile
        browser.communicate()


def read_page(url: str) -> str:
    """What chromium makes of a page: its document as text."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as base:
        return _chromium(url, base)
