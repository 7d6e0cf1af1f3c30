"""Images for tests, made from Debian packages: a base, PostgreSQL, nginx, Python and Node, as a registry stores them.

    images.py DIRECTORY        make DIRECTORY/registry, which docker-registry serves as it is

apt works out and fetches the packages as for an empty machine, into a directory of our own: nothing is installed,
nothing starts, and nobody need be root. Packages that only serve installing count as installed already. Every image
is the base layer and a layer of its own; what the maintainers' scripts would have done is a few files here.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

# Nobody runs these in a box: they serve installing, logging in and compiling queries.
ABSENT: Final = (
    "adduser apt cdebconf debconf debianutils dpkg init-system-helpers iproute2 libapt-pkg6.0 libdb5.3 libjson-perl "
    "libllvm14 libnginx-mod-http-echo libnode-dev libpam-modules libpam-modules-bin libpam-runtime locales lsb-base "
    "mailcap media-types mime-support netbase openssl perl perl-base postgresql-client-common postgresql-common "
    "ssl-cert sysvinit-utils tar ucf usrmerge"
)
# busybox does these, where the tools themselves would bring many packages
APPLETS: Final = "awk hostname httpd ip nc netstat nslookup ping ps wget xargs"
MTIME: Final = 1_262_304_000
DEBIAN: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# As the image that people use: a new data directory is set up as the environment says, scripts beside it run once.
POSTGRES: Final = """#!/bin/bash
set -e
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA" && chmod 700 "$PGDATA"
    : "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}" "${POSTGRES_HOST_AUTH_METHOD:=scram-sha-256}"
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
        echo "Error: Database is uninitialized and superuser password is not specified." >&2
        exit 1
    fi
    initdb -U "$POSTGRES_USER" --pwfile=<(printf '%s\\n' "$POSTGRES_PASSWORD") --no-sync >/dev/null
    echo "host all all all $POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses= -c unix_socket_directories=/tmp" -s -w start
    sql() { PGHOST=/tmp psql -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" "$@"; }
    export PGPASSWORD=$POSTGRES_PASSWORD
    [ "$POSTGRES_DB" = postgres ] || sql -d postgres -c "create database \\"$POSTGRES_DB\\""
    for script in /docker-entrypoint-initdb.d/*.sql; do
        [ ! -f "$script" ] || sql -d "$POSTGRES_DB" -f "$script"
    done
    pg_ctl -D "$PGDATA" -m fast -s -w stop
    unset PGPASSWORD
fi
exec "$@"
"""
NGINX: Final = """worker_processes 1;
error_log /dev/stderr notice;
pid /tmp/nginx.pid;
events { worker_connections 64; }
http {
    include /etc/nginx/mime.types;
    access_log /dev/stdout;
    client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
    include /etc/nginx/conf.d/*.conf;
}
"""
SITE: Final = "server { listen 80; root /usr/share/nginx/html; }\n"
PAGE: Final = "<!doctype html><title>nginx</title><h1>Welcome to nginx!</h1>\n"


class Recipe(NamedTuple):
    """An image: packages beside the base's, files (a path that ends in / is a directory; a text that begins with
    -> a symlink; a script begins with #!), its config."""

    name: str
    packages: str
    files: dict[str, str]
    config: dict[str, Any]


PASSWD: Final = "root:x:0:0:root:/root:/bin/bash\npostgres:x:999:999::/var/lib/postgresql:/bin/bash\n" + (
    "www-data:x:33:33::/var/www:/usr/sbin/nologin\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
)
BASE: Final = Recipe(
    "debian:12",
    "base-files bash coreutils libc-bin sed grep findutils busybox-static",
    {
        "etc/passwd": PASSWD,
        "etc/group": "root:x:0:\npostgres:x:999:\nwww-data:x:33:\nnogroup:x:65534:\n",
        "root/": "",
        "tmp/": "",
        "usr/bin/sh": "->bash",
        **{f"usr/local/bin/{name}": "->/bin/busybox" for name in APPLETS.split()},
    },
    {"Env": [f"PATH={DEBIAN}"], "Cmd": ["bash"]},
)
RECIPES: Final = (
    Recipe(
        "postgres:15",
        "postgresql-15",
        {
            "usr/local/bin/docker-entrypoint.sh": POSTGRES,
            "docker-entrypoint-initdb.d/": "",
            "var/run/postgresql/": "",
            "var/lib/postgresql/data/": "",
        },
        {
            "Env": [f"PATH=/usr/lib/postgresql/15/bin:{DEBIAN}", "PGDATA=/var/lib/postgresql/data", "LANG=C.UTF-8"],
            "User": "postgres",
            "Entrypoint": ["docker-entrypoint.sh"],
            "Cmd": ["postgres", "-c", "listen_addresses=*", "-c", "unix_socket_directories=/tmp"],
            "ExposedPorts": {"5432/tcp": {}},
            "Volumes": {"/var/lib/postgresql/data": {}},
            "StopSignal": "SIGINT",
        },
    ),
    Recipe(
        "nginx:1.22",
        "nginx",
        {
            "etc/nginx/nginx.conf": NGINX,
            "etc/nginx/conf.d/default.conf": SITE,
            "usr/share/nginx/html/index.html": PAGE,
            "var/log/nginx/": "",
            "var/lib/nginx/": "",
        },
        {
            "Env": [f"PATH={DEBIAN}"],
            "Cmd": ["nginx", "-g", "daemon off;"],
            "ExposedPorts": {"80/tcp": {}},
            "StopSignal": "SIGQUIT",
        },
    ),
    Recipe(
        "python:3.11",
        "python3",
        {"usr/local/bin/python": "->/usr/bin/python3"},
        {"Env": [f"PATH={DEBIAN}", "LANG=C.UTF-8"], "Cmd": ["python3"]},
    ),
    Recipe(
        "node:18", "nodejs", {"usr/local/bin/node": "->/usr/bin/node"}, {"Env": [f"PATH={DEBIAN}"], "Cmd": ["node"]}
    ),
)


# --- packages -----------------------------------------------------------------------------------------


def fetch(packages: str, present: Sequence[Path], work: Path) -> list[Path]:
    """The packages and all that they depend on, as .deb files, but what is present already."""
    work.mkdir()
    counted = dict.fromkeys(ABSENT.split(), "99:9") | dict(map(name_and_version, present))
    (work / "status").write_text("".join(f"{_stanza(*one)}\n" for one in counted.items()))
    (work / "archives/partial").mkdir(parents=True)
    work.chmod(0o755)
    options = {
        "Dir::State::status": work / "status",
        "Dir::State::extended_states": work / "extended",
        "Dir::Cache::archives": work / "archives",
        "Debug::NoLocking": 1,
        "APT::Install-Recommends": 0,
        "APT::Sandbox::User": "",
        "Acquire::Retries": 3,
    }
    said = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    argv = ["apt-get", "-qq", "-y", *said, "--download-only", "install", *packages.split()]
    subprocess.run(argv, check=True, stdout=sys.stderr)
    return sorted((work / "archives").glob("*.deb"))


def _stanza(name: str, version: str) -> str:
    return (
        f"Package: {name}\nStatus: install ok installed\nArchitecture: {architecture()}\nMulti-Arch: foreign\n"
        f"Version: {version}\nMaintainer: nobody\nDescription: counts as installed\n"
    )


@functools.cache
def architecture() -> str:
    """As Debian and images spell it."""
    asked = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def name_and_version(deb: Path) -> tuple[str, str]:
    name, version, _ = unquote(deb.name).split("_")
    return name, version


# what no box reads
DROPPED: Final = (
    "usr/lib/postgresql/15/lib/bitcode",
    *(f"usr/share/{name}" for name in ("doc", "man", "locale", "lintian", "bug")),
    "var/cache",
)


def members(deb: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """What a package holds, with /bin, /sbin and /lib in /usr."""
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            path = member.name.removeprefix("./").strip("/")
            if path in ("", ".") or path.startswith(DROPPED):
                continue
            if path.split("/")[0] in ("bin", "sbin", "lib", "lib64", "lib32", "libx32"):
                path = f"usr/{path}"
            found = archive.extractfile(member) if member.isreg() else None
            member.name = path
            if member.islnk():
                member.linkname = member.linkname.removeprefix("./")
            yield member, found.read() if found else b""


# --- layers and images --------------------------------------------------------------------------------


class Layer(NamedTuple):
    """Packed, and the digest of what was packed."""

    packed: bytes
    diff_id: str


def make_layer(debs: Sequence[Path], files: dict[str, str], *, is_base: bool) -> Layer:
    """A tar of everything, each path once, owners and times always the same."""
    tree: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    if is_base:
        for name in ("bin", "sbin", "lib", "lib64"):
            tree[name] = _link(name, f"usr/{name}")
    for deb in debs:
        for member, data in members(deb):
            if not (member.isdir() and member.name in tree):
                tree[member.name] = (member, data)
    tree.update((path.rstrip("/"), _made(path, text)) for path, text in files.items())
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in (tree[path] for path in sorted(tree, key=lambda path: (tree[path][0].islnk(), path))):
            member.uid = member.gid = 999 if member.name.startswith(("var/lib/postgresql", "var/run/postg")) else 0
            member.uname = member.gname = ""
            member.mtime = MTIME
            archive.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return Layer(gzip.compress(plain.getvalue(), 1, mtime=0), _digest(plain.getvalue()))


def _link(path: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(path)
    member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
    return member, b""


def _made(path: str, text: str) -> tuple[tarfile.TarInfo, bytes]:
    if text.startswith("->"):
        return _link(path, text[2:])
    member = tarfile.TarInfo(path.rstrip("/"))
    if path.endswith("/"):
        member.type, member.mode = tarfile.DIRTYPE, 0o1777 if path in ("tmp/", "var/run/postgresql/") else 0o755
        return member, b""
    data = text.encode()
    member.size, member.mode = len(data), 0o755 if text.startswith("#!") else 0o644
    return member, data


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry:
    """A directory as docker-registry (distribution, version 2 of its storage) keeps it."""

    def __init__(self, root: Path) -> None:
        self._root = root / "docker/registry/v2"

    def put(self, data: bytes) -> str:
        """Keep a blob; gives its digest."""
        digest = _digest(data)
        kind, _, number = digest.partition(":")
        self._write(f"blobs/{kind}/{number[:2]}/{number}/data", data)
        return digest

    def add(self, recipe: Recipe, layers: Sequence[Layer]) -> None:
        """Keep an image under its name and tag."""
        name, _, tag = recipe.name.partition(":")
        rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
        config = json.dumps(
            {"architecture": architecture(), "os": "linux", "config": recipe.config, "rootfs": rootfs}
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": self._descriptor("application/vnd.oci.image.config.v1+json", config),
                "layers": [
                    self._descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer.packed) for layer in layers
                ],
            }
        ).encode()
        digest = self.put(manifest)
        place = f"repositories/{name}"
        for data in (config, *(layer.packed for layer in layers)):
            self._link(f"{place}/_layers", _digest(data))
        self._link(f"{place}/_manifests/revisions", digest)
        self._link(f"{place}/_manifests/tags/{tag}/index", digest)
        self._write(f"{place}/_manifests/tags/{tag}/current/link", digest.encode())

    def _descriptor(self, kind: str, data: bytes) -> dict[str, Any]:
        return {"mediaType": kind, "digest": self.put(data), "size": len(data)}

    def _link(self, place: str, digest: str) -> None:
        self._write(f"{place}/{digest.replace(':', '/')}/link", digest.encode())

    def _write(self, path: str, data: bytes) -> None:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def make_images(target: Path) -> None:
    """All images, as a registry's storage at ``target``."""
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor() as pool:
        work, registry = Path(place), Registry(target)
        work.chmod(0o755)
        debs = fetch(BASE.packages, (), work / "base")
        base = make_layer(debs, BASE.files, is_base=True)
        registry.add(BASE, [base])

        def make(recipe: Recipe) -> None:
            found = fetch(recipe.packages, debs, work / recipe.name.partition(":")[0])
            registry.add(recipe, [base, make_layer(found, recipe.files, is_base=False)])

        list(pool.map(make, RECIPES))


def main() -> None:
    """Make the directory, whole or not at all."""
    target = Path(sys.argv[1])
    fresh = target.with_name(f"{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    make_images(fresh / "registry")
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


if __name__ == "__main__":
    main()
