"""``pt values`` and ``pt secrets``: set, get, list, rm."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from warpforge.cli.app import Command, Common, Group, pass_common, refuse_argument, to_json
from warpforge.cli.files import STDIN, read_document
from warpforge.errors import Missing

if TYPE_CHECKING:
    from warpforge.polytope.jobs.stores import Store
    from warpforge.polytope.nouns import Value


def _context(command: Any) -> Any:
    text = "The values that projects share under this name, instead of this project's own."
    return click.option("-c", "--context", metavar="NAME", help=text)(command)


def _output(command: Any) -> Any:
    kind = click.Choice(("yaml", "json", "edn"))
    command = click.option("-r", "--raw", is_flag=True, help="Text as it is, without quotes.")(command)
    command = click.option("--pretty/--no-pretty", default=True, help="On several lines, where that is possible.")(
        command
    )
    return click.option("-o", "--output", type=kind, default="yaml", show_default=True, help="The form.")(command)


def _store(common: Common, context: str | None) -> Store:
    from warpforge.cli.pt_world import open_library, store_of

    return store_of(common, None if context else open_library(common), context)


def _print(value: Value, output: str, *, pretty: bool, raw: bool) -> None:
    from warpforge.polytope.modules.writing import write_text

    if raw and isinstance(value, str):
        text = value
    elif output == "json":
        text = json.dumps(value, ensure_ascii=False, indent=2 if pretty else None)
    else:
        text = write_text(output, value).rstrip("\n")
    sys.stdout.write(text if text.endswith("\n") and raw else text + "\n")


def _given(name: str | None, data: str | None, file: str | None, *, stdin: bool, raw: bool) -> dict[str, str]:
    """What is to be set: one text, or a map of them."""
    if sum((data is not None, file is not None, stdin)) != 1:
        refuse_argument("give the data as an argument, by --file or by --stdin")
    if data is not None:
        assert name is not None
        return {name: data}
    content = read_document(file or STDIN)
    return _read(name, content, "standard input" if stdin else str(file), raw=raw)


def _read(name: str | None, content: bytes, source: str, *, raw: bool) -> dict[str, str]:
    from warpforge.polytope.calls.references import spell_within
    from warpforge.polytope.jobs.stores import parse_texts
    from warpforge.polytope.text.document import decode, load_document

    if name is None:
        return dict(parse_texts(load_document(content, source).value))
    if raw:
        return {name: decode(content, source)}
    if source.endswith((".yml", ".yaml", ".json", ".edn")):
        return {name: spell_within(load_document(content, source).value)}
    return {name: decode(content, source).removesuffix("\n")}


@click.group(cls=Group)
def values() -> None:
    """Values that modules refer to by pt.value: of this project, or of a context."""


@click.group(cls=Group)
def secrets() -> None:
    """Secrets that modules refer to by pt.secret: encrypted at rest, and never shown in logs.

    Their key lies in your configuration, for you alone: whoever gets hold of the project's directory cannot read them;
    whoever can read the files of your home can.
    """


def _make_set(kind: str) -> click.Command:
    one = kind[:-1]

    @click.command(cls=Command, name="set", help=f"Set a {one}, or all those of a file.")
    @click.argument("name", required=False)
    @click.argument("data", required=False)
    @click.option(
        "-f", "--file", metavar="FILE", help=f"A file: the {one}'s data; without NAME, a map from names to {kind}."
    )
    @click.option("--spec", "file", metavar="FILE", hidden=True)
    @click.option("--stdin", is_flag=True, help="The same, from standard input.")
    @click.option("-r", "--raw", is_flag=True, help="Take the text as it is, to its last line break.")
    @_context
    @pass_common
    def set_(
        common: Common,
        name: str | None,
        data: str | None,
        file: str | None,
        stdin: bool,  # noqa: FBT001 (click's shape)
        raw: bool,  # noqa: FBT001
        context: str | None,
    ) -> None:
        store = _store(common, context)
        given = _given(name, data, file, stdin=stdin, raw=raw)
        for key, text in given.items():
            (store.set_value if kind == "values" else store.set_secret)(key, text)
        common.note(f"{one} set: {', '.join(given)}" if given else f"no {kind} were given")

    return set_


def _make_get(kind: str) -> click.Command:
    one = kind[:-1]

    @click.command(cls=Command, name="get", help=f"Print a {one}.")
    @click.argument("name")
    @_output
    @_context
    @pass_common
    def get(common: Common, name: str, output: str, pretty: bool, raw: bool, context: str | None) -> None:  # noqa: FBT001
        store = _store(common, context)
        found = store.value(name) if kind == "values" else store.secret(name)
        if found is None:
            raise Missing("missing", f"there is no {one} {name}: pt {kind} set {name} ... makes one", name=name)
        if common.json:
            common.result(to_json({"stored": {"name": name, "text": found}}))
        else:
            _print(found, output, pretty=pretty, raw=raw)

    return get


def _make_list(kind: str) -> click.Command:
    @click.command(
        cls=Command,
        name="list",
        help="List all values." if kind == "values" else "List the names of all secrets.",
    )
    @_output
    @_context
    @pass_common
    def list_(common: Common, output: str, pretty: bool, raw: bool, context: str | None) -> None:  # noqa: FBT001
        store = _store(common, context)
        names = store.names(kind)
        if common.json:
            for name in names:
                more = {"text": store.value(name)} if kind == "values" else {}
                common.result(to_json({"stored": {"name": name, **more}}))
            return
        shown: Value = {name: store.value(name) for name in names} if kind == "values" else list(names)
        if raw:
            shown = "".join(f"{name}={store.value(name)}\n" if kind == "values" else f"{name}\n" for name in names)
        _print(shown, output, pretty=pretty, raw=raw)

    return list_


def _make_rm(kind: str) -> click.Command:
    @click.command(cls=Command, name="rm", help=f"Remove {kind}.")
    @click.argument("names", nargs=-1, required=True, metavar="NAME...")
    @_context
    @pass_common
    def rm(common: Common, names: tuple[str, ...], context: str | None) -> None:
        _store(common, context).remove(kind, names)
        common.note(f"removed: {', '.join(names)}")

    return rm


for _group, _kind in ((values, "values"), (secrets, "secrets")):
    _set = _make_set(_kind)
    for _command in (_set, _make_get(_kind), _make_list(_kind), _make_rm(_kind)):
        _group.add_command(_command)
    _group.add_command(_set, "add")
