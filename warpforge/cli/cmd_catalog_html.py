"""``warpforge catalog generate-html`` and ``catalog serve``: a catalog as pages."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument, to_json
from warpforge.cli.catalogs import NAME, chosen_catalog, here
from warpforge.cli.progress import bar
from warpforge.errors import Invalid, Unable
from warpforge.model.units import counted

if TYPE_CHECKING:
    from warpforge.catalog.html.publish import Published
    from warpforge.catalog.tree import Catalog
    from warpforge.workspace.find import Stack

PORT: Final = 8080
LEAST_PAUSE: Final = 1.0  # seconds between two looks at the catalog
SHARE: Final = 50  # of the time that looking may take, one part
MANY: Final = 8  # chunks of modules from which on other processes help
SHOWN: Final = 20  # faults

OPTIONS: Final = (
    NAME,
    click.option("--output", "-o", metavar="DIR", help="Where the pages go; default: _html in the catalog."),
    click.option("--url-prefix", metavar="URL", help="What links begin with; default: they are relative."),
    click.option("--download-url", metavar="URL", help="A warehouse to which wares are linked."),
    click.option("--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Processes; default: the cores."),
)


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """What both commands can be told."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.command(cls=Command, name="generate-html")
@with_options
@click.pass_context
@pass_common
def generate_html(common: Common, context: click.Context, /, name: str | None, **asked: Any) -> None:
    """Write a catalog as pages for people; those that did not change are left alone.

    They work from a file and from a server. A release that cannot be shown is told of, and the exit status is 2.
    """
    stack = here(common)
    catalog = chosen_catalog(context, stack, name, make=False)
    _, published = _publish(common, stack, catalog, _Asked(**asked))
    _raise_faults(published)


@click.command(cls=Command, name="serve")
@with_options
@click.option("--port", "-p", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any free one.")
@click.pass_context
@pass_common
def serve(common: Common, context: click.Context, /, name: str | None, port: int, **asked: Any) -> None:
    """Write a catalog as pages, and serve them to this machine until interrupted.

    When the catalog changes, or on SIGHUP, the pages that changed are written again, and take their places all at once.
    """
    from warpforge.engine.page_server import PageServer

    stack = here(common)
    catalog = chosen_catalog(context, stack, name, make=False)
    watch = _Watch(catalog, stack)
    directory, published = _publish(common, stack, catalog, _Asked(**asked))
    _tell_faults(common, published)
    with PageServer("127.0.0.1", port, directory, lambda line: _say(common, line)) as server:
        address = f"http://localhost:{server.server_port}"
        watch.start(lambda: _again(common, stack, catalog, _Asked(**asked), server.still))
        try:  # whoever reads the address may send a signal at once
            common.result(to_json({"serving": {"address": address}}) if common.json else f"Serving at {address}")
            sys.stdout.flush()
            server.serve_forever()
        except KeyboardInterrupt:
            pass  # that is how it ends


class _Watch:
    """Notices that a catalog, or what is believed of it, is not as it was; a thread of its own looks."""

    def __init__(self, catalog: Catalog, stack: Stack) -> None:
        from warpforge.catalog.rebuilders import FILE
        from warpforge.engine.catalogs import TRUST_FILE
        from warpforge.engine.verdicts import PLACE

        root = stack.root
        self._places = (catalog.path, *(workspace.internal / PLACE for workspace in stack))
        self._files = (root.config(FILE), root.config(TRUST_FILE), catalog.path / "_snapshots" / "head.json")
        self._seen = self._look()
        self._asked = threading.Event()

    def start(self, changed: Callable[[], None]) -> None:
        """From now on ``changed`` is called when something changed, and on SIGHUP."""
        signal.signal(signal.SIGHUP, lambda *_: self._asked.set())
        threading.Thread(target=self._run, args=(changed,), daemon=True).start()

    def _run(self, changed: Callable[[], None]) -> None:
        pause = LEAST_PAUSE
        while True:
            asked = self._asked.wait(pause)
            self._asked.clear()
            since = time.monotonic()
            seen = self._look()
            pause = max(LEAST_PAUSE, SHARE * (time.monotonic() - since))  # a large catalog is looked at less often
            if asked or seen != self._seen:
                self._seen = seen
                changed()

    def _look(self) -> bytes:
        from warpforge.catalog.html.change import fingerprint

        return fingerprint(self._places, self._files)


def _tell_faults(common: Common, published: Published) -> None:
    for fault in published.faults[:SHOWN]:
        common.note(printable(fault))


def _again(
    common: Common, stack: Stack, catalog: Catalog, asked: _Asked, still: AbstractContextManager[object]
) -> None:
    """Publish once more; what is wrong is said, and the pages of before stay."""
    from warpforge.errors import WarpforgeError

    try:
        _tell_faults(common, _publish(common, stack, catalog, asked, still)[1])
    except WarpforgeError as error:
        common.note(printable(f"the pages are as they were: {error.message}"))
    sys.stdout.flush()


class _Asked(NamedTuple):
    """What both commands are told."""

    output: str | None
    url_prefix: str | None
    download_url: str | None
    jobs: int | None


def _publish(
    common: Common, stack: Stack, catalog: Catalog, asked: _Asked, still: AbstractContextManager[object] | None = None
) -> tuple[Path, Published]:
    """Write the pages and say so: the directory, and what was written. ``still``: nobody reads pages meanwhile."""
    from warpforge.catalog.html.publish import NOTHING_WAITS, Publisher
    from warpforge.catalog.html.site import Site
    from warpforge.engine.catalogs import find_judges, open_catalog
    from warpforge.engine.verdicts import PLACE
    from warpforge.fsx.spread import spread
    from warpforge.mirror.protocol import ca_path, shown

    if asked.url_prefix and not asked.url_prefix.startswith(("/", "http://", "https://", "file://")):
        refuse_argument(f"--url-prefix {asked.url_prefix}: a URL is wanted, or a path that begins with /")
    directory = _directory(common, catalog, asked.output)
    whose = find_judges(stack, catalog.path, common.note)  # one that cannot be believed at all has no pages
    site = Site(catalog.name, asked.url_prefix or None, asked.download_url or "", shown, ca_path, *whose)
    internals = dict.fromkeys(workspace.internal for workspace in stack)
    state = stack.root.internal / "pages" / f"{blake2b(os.fsencode(directory), digest_size=12).hexdigest()}.json"
    opened = partial(open_catalog, stack, catalog.path)
    kept = [internal / PLACE for internal in internals]
    publisher = Publisher(site, opened, directory, kept, state, still or NOTHING_WAITS)
    count = asked.jobs or len(os.sched_getaffinity(0))

    def several(function: Callable[[Any], Any], chunks: Any) -> Iterator[Any]:
        return spread(function, chunks, jobs=count, least=MANY)

    with bar(common) as progress:
        published = publisher.publish(several, progress)
    if common.json:
        counts = {key: value for key, value in published._asdict().items() if key != "faults"}
        print(to_json({"published": {"name": catalog.name, "path": str(directory), **counts}}))
    else:
        common.result(printable(f'published HTML for catalog "{catalog.name}" to {directory}'))
        if common.verbose:
            common.note(f"{published.pages} pages, {published.written} of them written")
    return directory, published


def _directory(common: Common, catalog: Catalog, output: str | None) -> Path:
    if output:
        return Path(os.path.abspath(common.settings.cwd / output))
    directory = catalog.path / "_html"
    if directory.is_symlink():  # a catalog that came from elsewhere must not say where we write
        raise Unable("io", f"{directory} is a link: name the directory that you mean with --output", path=directory)
    return directory


def _raise_faults(published: Published) -> None:
    if published.faults:
        more = f"\n  ... and {len(published.faults) - SHOWN} more" if len(published.faults) > SHOWN else ""
        lines = "".join(f"\n  {fault}" for fault in published.faults[:SHOWN])
        raise Invalid(
            "catalog-invalid",
            f"the pages are written, but {counted(len(published.faults), 'thing')} cannot be shown as they should; "
            f"`warpforge catalog check` says more:{lines}{more}",
            reason="pages",
        )


def _say(common: Common, line: str) -> None:
    if common.verbose and not common.quiet:
        click.echo(printable(line), err=True)
