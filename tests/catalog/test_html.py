"""The pages of a catalog: what they tell, where they lead, that nothing said is markup, and what is written."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest
from support.conformance import CONFORMANCE, needs_conformance
from support.published import APP, EVIL, LIB, WARE, fill

from warpforge.catalog.edit import add_item, edit, init_catalog
from warpforge.catalog.envelope import Envelope, dump_envelope
from warpforge.catalog.html.publish import NOTHING_WAITS, Published, Publisher
from warpforge.catalog.html.search import ware_files
from warpforge.catalog.html.site import Site
from warpforge.catalog.keys import PrivateKey
from warpforge.catalog.snapshot import PAYLOAD_TYPE, Snapshot
from warpforge.catalog.tree import Catalog
from warpforge.catalog.verdicts import PAYLOAD, keep_signed, keep_verdicts
from warpforge.catalog.words import Judges
from warpforge.errors import Unable
from warpforge.mirror.protocol import ca_path, shown
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.ident import release_id
from warpforge.model.serial import dump
from warpforge.model.verdict import DIFFERS, SAME, ItemVerdict, ReleaseVerdicts


class Pages:
    """A catalog and its site."""

    def __init__(self, base: Path, **site: Any) -> None:
        self.catalog = init_catalog(base / "catalogs", "test")
        self.base = base
        self.out = base / "out"
        self.kept = base / "kept"
        self.site = Site(
            **{"name": "test", "prefix": None, "download": "", "shown": shown, "ware_path": ca_path, **site}
        )

    def publish(
        self,
        out: Path | None = None,
        state: str = "state.json",
        swapping: AbstractContextManager[object] = NOTHING_WAITS,
    ) -> Published:
        opened = partial(Catalog, self.catalog.path)
        publisher = Publisher(self.site, opened, out or self.out, [self.kept], self.base / state, swapping)
        return publisher.publish(lambda function, chunks: map(function, chunks), lambda what, done, total: None)

    def read(self, page: str) -> str:
        return (self.out / page).read_text()

    def files(self) -> dict[str, int]:
        """Every page with its inode, which a page that is written anew changes."""
        return {str(path.relative_to(self.out)): path.stat().st_ino for path in self.out.rglob("*") if path.is_file()}


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    made = Pages(tmp_path)
    fill(made.catalog)
    return made


class Seen(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if "id" in found:
            self.ids.append(found["id"])

    def all(self, *names: str) -> list[dict[str, str]]:
        return [found for tag, found in self.tags if tag in names]


def seen(top: Path) -> dict[str, Seen]:
    return {str(path.relative_to(top)): Seen(path.read_text()) for path in top.rglob("*.html")}


def links(found: Seen) -> Iterator[str]:
    for one in found.all("a", "link", "script", "form"):
        target = one.get("href") or one.get("src") or one.get("action") or ""
        if target and not target.startswith(("https://", "http://", "data:,")):
            yield target


def test_every_link_leads_to_a_page_and_to_a_place_in_it(pages: Pages) -> None:
    pages.publish()
    assert len(seen(pages.out)) == 3 + 2 + 3 + 5  # the index and its company, domains, modules, releases
    follow_links(pages)


@needs_conformance
def test_every_link_in_the_pages_of_the_originals_catalog(tmp_path: Path) -> None:
    pages = Pages(tmp_path)
    shutil.copytree(CONFORMANCE / "catalog", pages.catalog.path, dirs_exist_ok=True)
    assert pages.publish().faults == []
    follow_links(pages)


def follow_links(pages: Pages) -> None:
    found = seen(pages.out)
    for page, one in found.items():
        assert len(one.ids) == len({*one.ids}) and len(one.all("h1")) == 1, page
        for target in links(one):
            path, fragment = urldefrag(target)
            base = "" if target.startswith("/") else os.path.dirname(page)
            goal = os.path.normpath(os.path.join(base, unquote(path).lstrip("/"))) if path else page
            assert (pages.out / goal).is_file(), f"{page}: {target}"
            assert not fragment or unquote(fragment) in found[goal].ids, f"{page}: {target}"


def test_nothing_that_a_catalog_says_is_markup(pages: Pages) -> None:
    pages.publish()
    for page, one in seen(pages.out).items():
        assert {tag for tag, _ in one.tags}.isdisjoint(("img", "b>", "iframe", "style", "object", "base")), page
        assert all(script.keys() <= {"src", "defer"} and "_s" in script["src"] for script in one.all("script")), page
        for tag, attributes in one.tags:
            assert not [name for name in attributes if name.startswith("on") or name == "style"], (page, tag)
            assert not attributes.get("href", "").lower().startswith("javascript:"), page
    page = pages.read(f"{EVIL}/_releases/v1.html")
    assert "&lt;script&gt;alert(1)" in page and "\x1b" not in page and "\u202e" not in page
    assert not any("<" in pages.read(page) for page in ("_search.js", "_names.js", "_wares/all.js"))


def test_what_a_release_tells(pages: Pages) -> None:
    pages.publish()
    lib = pages.read(f"{LIB}/_releases/v1.9.html")
    assert "it deletes what it finds" in lib and "a.org/app" in lib  # its hazard, and who takes it
    assert f"catalog:{LIB}:v1.9:src" in lib and f"warpforge ware unpack --path lib {WARE}" in lib
    assert "https://x.invalid/a.tar?..." in lib and "word" not in lib and "signed=1" not in lib
    app = pages.read(f"{APP}/_releases/v1.html")
    assert app.count("<rect") == 5 and "Made from a hazard" in app and "sub/make" in app
    assert f"<code>pipe::lib</code> <span class='dim'>is</span> <a href=\"../../../{LIB}/_releases/v1.9.html\">" in app
    module = pages.read(f"{LIB}/index.html")
    at = [module.index(f">{name}<") for name in ("v1.10-rc1", "v1.10", "v1.9")]
    assert at == sorted(at), "the last that was published is the first"
    assert "a library of &lt;things&gt;" in pages.read("index.html")


def test_the_same_catalog_gives_the_same_bytes(pages: Pages) -> None:
    pages.publish()
    other = pages.base / "other"
    pages.publish(other, "other.json")
    assert {name: (other / name).read_bytes() for name in pages.files()} == {
        name: (pages.out / name).read_bytes() for name in pages.files()
    }


def test_only_what_changed_is_written(pages: Pages) -> None:
    assert pages.publish().written == len(pages.files())
    before = pages.files()
    assert pages.publish().written == 0 and pages.files() == before
    with edit(pages.catalog, EVIL) as module:
        module.put_item(CatalogRef(EVIL, "v2", "x"), WARE)
    pages.publish()
    changed = {name for name, inode in pages.files().items() if before.get(name) != inode}
    evil = {f"{EVIL}/index.html", f"{EVIL}/_releases/v1.html", f"{EVIL}/_releases/v2.html", "_domains/evil.org.html"}
    assert changed == evil | {"index.html", "_search.js", "_names.js", "_wares/all.js"}


def test_a_page_that_somebody_spoiled_comes_back_without_the_state(pages: Pages) -> None:
    pages.publish()
    page = pages.out / LIB / "index.html"
    whole = page.read_bytes()
    page.write_bytes(b"spoiled")
    (pages.base / "state.json").unlink()
    assert pages.publish().written == 1 and page.read_bytes() == whole


def test_what_has_gone_goes_from_the_pages(pages: Pages) -> None:
    pages.publish()
    shutil.rmtree(pages.catalog.path / "evil.org")
    shutil.rmtree(pages.catalog.path / APP)
    with edit(pages.catalog, LIB) as module:
        releases = {name: cid for name, cid in module.module.releases.items() if name != "v1.10"}
        module.module = type(module.module)(LIB, releases, {})
    pages.publish()
    assert not (pages.out / "evil.org").exists() and not (pages.out / "_domains" / "evil.org.html").exists()
    assert not (pages.out / APP).exists() and (pages.out / LIB / "index.html").exists()
    assert not (pages.out / LIB / "_releases" / "v1.10.html").exists()
    assert not any("evil" in pages.read(page) for page in ("_search.js", "_names.js", "_wares/all.js"))


def test_verdicts_and_whose_signature_counts(tmp_path: Path) -> None:
    key, stranger = PrivateKey.generate(), PrivateKey.generate()
    pages = Pages(tmp_path, judges=Judges((key.public,)))
    fill(pages.catalog)
    release = pages.catalog.release(APP, "v1")
    assert release is not None

    def judged(verdict: str, time: int, *why: str) -> ReleaseVerdicts:
        item = ItemVerdict(verdict, WARE, time, "warpforge 9", WARE if verdict == SAME else WareId("ztar", "X"), why)
        return ReleaseVerdicts(APP, "v1", release_id(release), release.replay or "", {"app": item})

    where = keep_verdicts(pages.catalog.path, judged(DIFFERS, 1700000000, "changed /bin/<app>"))
    pages.publish()
    page = pages.read(f"{APP}/_releases/v1.html")
    assert "differs" in page and "not signed" in page and "changed /bin/&lt;app&gt;" in page and "2023-11-14" in page
    for signer in (key, stranger):
        envelope = Envelope(PAYLOAD, dump(judged(SAME, 1600000000))).signed(signer)
        where.with_name(f"{signer.public.id}.dsse").write_bytes(dump_envelope(envelope))
    pages.publish()
    page = pages.read(f"{APP}/_releases/v1.html")
    assert "reproduced ✓ signed" in pages.read(f"{APP}/index.html")  # one that counts, though an older one
    assert "reproduced ✓ signed" in pages.read("index.html") and pages.publish().written == 0
    believed = page.count(f"trusted key {key.public.id[:16]}")
    # the same envelope elsewhere, and its words without one, are no further words; a forger's takes the place of none
    forged = Envelope(PAYLOAD, dump(judged(SAME, 1900000000))).signed(stranger)
    forged = forged._replace(signatures=(forged.signatures[0]._replace(keyid=key.public.id),))
    keep_verdicts(pages.catalog.path, judged(SAME, 1600000000))
    keep_signed(pages.kept, judged(SAME, 1600000000), Envelope(PAYLOAD, dump(judged(SAME, 1600000000))).signed(key))
    where.with_name("forged.dsse").write_bytes(dump_envelope(forged))
    pages.publish()
    page = pages.read(f"{APP}/_releases/v1.html")
    assert page.count(f"trusted key {key.public.id[:16]}") == believed and "not signed" not in page
    assert f"trusted key {key.public.id[:16]}" in page and f"not trusted here: {stranger.public.id[:16]}" in page


def test_the_snapshot_that_the_catalog_stands_by(tmp_path: Path) -> None:
    key = PrivateKey.generate()
    pages = Pages(tmp_path, judges=Judges((key.public,)))
    fill(pages.catalog)
    pages.publish()
    assert "Snapshot" not in pages.read("index.html")
    head = pages.catalog.path / "_snapshots" / "head.json"
    head.parent.mkdir()
    for signer, said in ((PrivateKey.generate(), "too few are trusted here"), (key, "signed by 1 trusted key")):
        payload = Snapshot("test", 7, 1700000000, "zRoot", "zBefore").payload()
        head.write_bytes(dump_envelope(Envelope(PAYLOAD_TYPE, payload).signed(signer)))
        pages.publish()
        assert "Snapshot 7 of 2023-11-14" in pages.read("index.html") and said in pages.read("index.html")


def test_day_and_night_have_contrast(pages: Pages) -> None:
    """WCAG 2.2, 1.4.3: 4.5 between text and what is behind it."""
    pages.publish()
    css = pages.read("_site.css")
    day, night = dict[str, str](), dict[str, str]()
    for block in re.findall(r":root \{([^}]*)\}", css):
        found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
        (day if f"dark) {{ :root {{{block}" not in css else night).update(found)
    pairs = [(ink, paper) for ink in ("ink", "dim", "link") for paper in ("paper", "card", "soft", "code")]
    pairs += [(f"{kind}-ink", kind) for kind in ("good", "bad", "info", "warn")]
    pairs += [("ink", f"{kind}-fill") for kind in ("hit", "run", "fetch", "missing")]
    for colours in (day, {**day, **night}):
        for ink, paper in pairs:
            light, dark = sorted((luminance(colours[ink]), luminance(colours[paper])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper, colours[ink], colours[paper])


def luminance(colour: str) -> float:
    """Of #rrggbb, as WCAG defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_broken_release_is_told_of_and_the_rest_is_there(pages: Pages) -> None:
    path = pages.catalog.path / LIB / "_releases" / "v1.10.json"
    path.write_bytes(path.read_bytes().replace(b"v1.10", b"v1.11"))
    published = pages.publish()
    assert len(published.faults) == 1 and "v1.10" in published.faults[0]
    assert "Something is wrong" in pages.read(f"{LIB}/_releases/v1.10.html")
    assert pages.publish().faults == published.faults, "said again, for it is still so"


def test_a_prefix_and_a_warehouse_for_downloads(tmp_path: Path) -> None:
    pages = Pages(tmp_path, prefix="https://x.invalid/c", download="https://w.invalid/")
    fill(pages.catalog)
    pages.publish()
    page = pages.read(f"{LIB}/_releases/v1.9.html")
    assert 'href="https://x.invalid/c/index.html"' in page and f'href="https://w.invalid/{ca_path(WARE)}"' in page
    assert '"../' not in page


def test_what_a_killed_command_left_goes(pages: Pages) -> None:
    left = pages.out / ".tmp" / "half"
    left.parent.mkdir(parents=True)
    left.write_text("half a page")
    pages.publish()
    assert not left.parent.exists() and not [name for name in pages.files() if "/." in f"/{name}"]


def test_the_site_of_before_stays_until_all_of_the_next_is_there(pages: Pages) -> None:
    pages.publish()
    (note := pages.out / "a.org" / "mine.txt").write_text("not of ours")
    before = pages.files()
    add_item(pages.catalog, CatalogRef(LIB, "v99", "item"), WARE)
    seen: list[dict[str, int]] = []

    class Swapping:
        def __enter__(self) -> None:
            seen.append({page: inode for page, inode in pages.files().items() if not page.startswith(".tmp/")})

        def __exit__(self, *_: object) -> None:
            seen.append({page: inode for page, inode in pages.files().items() if not page.startswith(".tmp/")})

    pages.publish(swapping=Swapping())
    assert seen[0] == before
    assert f"{LIB}/_releases/v99.html" in seen[1] and seen[1] == pages.files() and note.exists()
    where = os.stat(pages.out).st_ino
    pages.publish()
    assert os.stat(pages.out).st_ino == where  # whoever mounted it, or stands in it, still has it


def test_a_link_in_the_way_is_not_followed(pages: Pages) -> None:
    elsewhere = pages.base / "elsewhere"
    elsewhere.mkdir()
    pages.out.mkdir()
    (pages.out / "a.org").symlink_to(elsewhere)
    with pytest.raises(Unable):
        pages.publish()
    assert [*elsewhere.iterdir()] == []


def test_wares_are_in_files_that_stay_small() -> None:
    """However many there are; the same names are on file systems that take a for A."""
    letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    for count, digits in ((10, 0), (3000, 1), (20_000, 2)):
        wares = [f"ztar:{letters[at % 58]}{letters[at // 58 % 58]}{at:042}" for at in range(count)]
        found, _, files = ware_files({"a.org/x": [("v1", {str(at): ware for at, ware in enumerate(wares)})]})
        assert found == digits and len({name.lower() for name in files}) == len(files) <= 58**digits
        said = [json.loads(text[text.index("=", text.index("[")) + 1 : -2]) for text in files.values()]
        assert sorted(ware for one in said for ware in one) == sorted(wares)
        assert max(map(len, said)) <= 300
