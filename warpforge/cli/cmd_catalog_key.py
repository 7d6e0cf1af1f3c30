"""``warpforge catalog key``: what signs catalogs, verdicts and attestations."""

from __future__ import annotations

import click

from warpforge.cli.app import Common, Group, pass_common, printable, to_json


@click.group(cls=Group, name="key", no_args_is_help=True)
def key() -> None:
    """Keys that sign catalogs, verdicts and attestations (ed25519)."""


@key.command("new")
@click.argument("file")
@pass_common
def new(common: Common, file: str) -> None:
    """Make a key: FILE is to be kept to yourself, FILE.pub is for everybody.

    FILE is PEM of PKCS#8, readable by you alone; its public key is printed, too. No file is ever replaced.
    """
    from warpforge.catalog.keys import PUBLIC, PrivateKey

    made = PrivateKey.generate()
    made.save(file)
    common.note(printable(f"made {file}, which is secret, and {file}{PUBLIC}, which is not"))
    _tell(common, file, str(made.public), made.public.id)


@key.command("show")
@click.argument("key_", metavar="KEY")
@click.option("--pem", is_flag=True, help="As other tools read it.")
@pass_common
def show(common: Common, key_: str, *, pem: bool) -> None:
    """Show a public key and its id. KEY: a file with a private or a public key, or ed25519:... itself."""
    from warpforge.catalog.keys import any_public

    public = any_public(key_)
    if pem:
        common.result(public.pem().rstrip("\n"))
        return
    _tell(common, key_, str(public), public.id)


def _tell(common: Common, file: str, public: str, key_id: str) -> None:
    if common.json:
        print(to_json({"key": {"name": file, "key": public, "id": key_id}}))
        return
    common.result(public)
    common.result(f"id {key_id}")
