"""``catalog generate-html`` and ``catalog serve``, as people see them: in a browser, on a phone, from a file."""

from __future__ import annotations

import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from support.browser import read_file, walk
from support.published import APP, EVIL, LIB, WARE, fill
from support.world import WARPFORGE, World

from warpforge.catalog.edit import edit
from warpforge.catalog.tree import Catalog
from warpforge.model.atoms import CatalogRef


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A catalog's pages, served by the command line: the address, and the directory."""
    world = World(tmp_path_factory.mktemp("pages"))
    world.root_workspace()
    path = world.path(".warpforge/catalogs/test")
    path.mkdir(parents=True)
    fill(Catalog(path))
    argv = [str(WARPFORGE), "catalog", "-n", "test", "serve", "--port", "0"]
    pipe = subprocess.PIPE
    server = subprocess.Popen(argv, cwd=world.root, env=world.environment(), stdout=pipe, stderr=pipe, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == f'published HTML for catalog "test" to {path}/_html\n'
        address = server.stdout.readline().removeprefix("Serving at ").strip()
        server.send_signal(signal.SIGHUP)  # at once; it is no reason to end
        yield address, path / "_html"
    finally:
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=100)
        assert server.returncode == 0 and "Traceback" not in err


def test_on_a_phone_nothing_is_too_wide_and_the_search_finds(served: tuple[str, Path]) -> None:
    address, directory = served
    pages = sorted(str(path.relative_to(directory)) for path in directory.rglob("*.html") if path.name != "walk.html")
    typed = ["index.html#type=lib", "search.html#type=things", "index.html#type=a.org app", "index.html#type=nowhere"]
    found = walk(address.replace("localhost", "127.0.0.1"), directory, [*pages, *typed, "search.html?q=%3Cscript"], 375)
    for page, seen in found.items():
        assert seen["scroll"] <= seen["width"] == 375 and not seen["wide"], (page, seen["wide"])
        assert not seen["small"], f"{page}: a button that no finger finds"
    assert found[f"{LIB}/_releases/v1.9.html"]["buttons"] >= 5
    first = found["index.html#type=lib"]["results"]
    assert first[0][0] == LIB and first[0][1].endswith(f"/{LIB}/index.html")
    assert [name for name, _ in found["search.html#type=things"]["results"]] == [LIB]  # by what is said of it
    assert [name for name, _ in found["index.html#type=a.org app"]["results"]] == [APP]
    assert found["index.html#type=nowhere"]["results"] == [] and "Nothing is called so" in str(found)
    assert [name for name, _ in found["search.html?q=%3Cscript"]["results"]] == [EVIL]
    assert "<script>alert(1)</script>" in found["search.html?q=%3Cscript"]["said"]  # as text


def test_from_a_file_the_search_works_too(served: tuple[str, Path]) -> None:
    dom = read_file(served[1] / "search.html", "?q=app")
    assert '<a class="name" href="a.org/app/index.html">' in dom and "1 module<" in dom


def test_releases_items_and_wares_are_found(served: tuple[str, Path]) -> None:
    """By a reference, also a part of one, and by the beginning of a hash; from files that are loaded for it alone."""
    page = served[1] / "search.html"
    dom = read_file(page, "?q=lib%3Av1.10%3Asrc")
    assert f'<a class="name" href="{LIB}/_releases/v1.10.html#item-src">{LIB}:v1.10:src</a>' in dom
    assert "2 items<" in dom and "v1.10-rc1:src" in dom
    dom = read_file(page, f"?q={str(WARE)[:12]}")
    assert f'{APP}/_releases/v1.html#item-app">{APP}:v1:app</a><span class="about">{WARE}<' in dom


def test_what_is_published_while_it_is_served_is_there_soon(served: tuple[str, Path]) -> None:
    address, directory = served
    with edit(Catalog(directory.parent), "z.org/fresh") as module:
        module.put_item(CatalogRef("z.org/fresh", "v1", "x"), WARE)
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{address}/z.org/fresh/_releases/v1.html") as answer:
                assert answer.status == 200
                break
        except urllib.error.HTTPError as error:
            assert error.code == 404 and time.monotonic() < deadline
            time.sleep(0.1)
    while "z.org/fresh" not in (directory / "index.html").read_text():  # the index is last
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_is_not_there_and_what_is_outside(served: tuple[str, Path]) -> None:
    address, directory = served

    def status(path: str, host: str = "localhost") -> tuple[int, str]:
        connection = HTTPConnection(address.removeprefix("http://").replace("localhost", "127.0.0.1"), timeout=100)
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        answer = connection.getresponse()
        found = answer.status, answer.read().decode()
        connection.close()
        return found

    assert status("/a.org/nothing/index.html") == (404, (directory / "404.html").read_text())
    assert status("/a.org/lib/") == (200, (directory / LIB / "index.html").read_text())
    assert status("/a.org/lib")[0] == 308
    (directory.parent / "secret").write_text("secret")
    (directory / "link").symlink_to(directory.parent / "secret")
    for path in ("/../secret", "/%2e%2e/secret", "/link", "/%00", "//etc/passwd"):
        assert status(path)[0] == 404, path
    assert status("/", host="attacker.invalid")[0] == 403, "a name of somebody else leads here"
    with urllib.request.urlopen(f"{address}/_site.css") as answer:
        assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{address}/_domains/")


def test_what_nobody_signed_has_no_page_where_signatures_are_needed(world: World) -> None:
    world.root_workspace()
    path = world.path(".warpforge/catalogs/test")
    path.mkdir(parents=True)
    fill(Catalog(path))
    world.run("catalog", "key", "new", "key")
    world.run("catalog", "-n", "test", "sign", "--key", "key")
    world.run("catalog", "-n", "test", "trust", "add", "key.pub")
    world.run("catalog", "-n", "test", "generate-html", "-o", "site")
    assert "signed by 1 trusted key" in world.path("site/index.html").read_text()
    with edit(Catalog(path), "c.org/new") as module:
        module.put_item(CatalogRef("c.org/new", "v1", "x"), WARE)
    failed = world.fail("catalog", "-n", "test", "generate-html", "-o", "site")
    assert "c.org/new" in failed.error["message"] and not world.path("site/c.org").exists()
    (path / "_snapshots" / "head.json").unlink()
    assert world.fail("catalog", "-n", "test", "generate-html", "-o", "other").code == "catalog-invalid"
    assert not world.path("other").exists()


def test_what_cannot_be_shown_fails_the_command_at_its_end(world: World) -> None:
    world.root_workspace()
    path = world.path(".warpforge/catalogs/test")
    path.mkdir(parents=True)
    fill(Catalog(path))
    release = path / LIB / "_releases" / "v1.9.json"
    release.write_bytes(release.read_bytes().replace(b"deletes", b"keeps"))
    path.joinpath("_html").symlink_to(world.root)
    assert world.fail("catalog", "-n", "test", "generate-html").code == "io"
    failed = world.fail("catalog", "-n", "test", "generate-html", "-o", "site")
    assert failed.exit == 2 and failed.code == "catalog-invalid" and "v1.9" in failed.error["message"]
    assert failed.one("published")["path"] == str(world.path("site")) and world.path("site/index.html").is_file()
