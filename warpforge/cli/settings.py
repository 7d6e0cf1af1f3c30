"""What the environment says: the only look at ``os.environ``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from warpforge.errors import Missing

if TYPE_CHECKING:
    from warpforge.mirror.policy import Access


class Settings(NamedTuple):
    """The environment's part of a command.

    ``warehouse`` replaces the warehouse for this command; ``run_path`` is where boxes work;
    ``keep_run_dir`` keeps their directories; ``debug`` shows tracebacks;
    ``dumb``: the terminal can only show one line after the other. ``proxies``: by scheme,
    for hosts that ``no_proxy`` does not name. ``s3_endpoint``, ``s3_region``: of S3 mirrors that no file configures.
    ``variable``: looks up one by name, for the secrets that a person says come from there.
    ``ssh_agent``: the socket of ssh's agent.
    ``auth_files``: where docker and podman keep logins to registries.
    ``config_home``, ``state_home``: where programs keep what a person sets, and what they remember (None: no home).
    """

    home: Path | None
    cwd: Path
    warehouse: Path | None
    run_path: Path | None
    keep_run_dir: bool
    debug: bool
    columns: int | None
    dumb: bool
    proxies: Mapping[str, str]
    no_proxy: tuple[str, ...]
    s3_endpoint: str
    s3_region: str
    ssh_agent: str
    auth_files: tuple[Path, ...]
    warnings: tuple[str, ...]
    variable: Callable[[str], str | None]
    config_home: Path | None = None
    state_home: Path | None = None

    def access(self) -> Access:
        """What reaching mirrors takes, as far as the environment says."""
        from warpforge.mirror.policy import Access

        return Access(
            proxies=self.proxies,
            no_proxy=self.no_proxy,
            s3_endpoint=self.s3_endpoint,
            s3_region=self.s3_region,
            ssh_agent=self.ssh_agent,
            auth_files=self.auth_files,
        )


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Errors: ``missing`` when the working directory is gone."""
    env = os.environ if environ is None else environ
    try:
        cwd = Path.cwd()
    except OSError as error:
        raise Missing("missing", "the working directory no longer exists: change to another", cause=error) from error
    home = env.get("HOME", "")
    warnings: tuple[str, ...] = ()
    if env.get("WARPFORGE_PATH"):
        warnings = ("WARPFORGE_PATH is ignored: no plugins are needed",)
    columns = env.get("COLUMNS", "")
    return Settings(
        home=Path(home) if home.startswith("/") else None,
        cwd=cwd,
        warehouse=_path(cwd, env.get("WARPFORGE_WAREHOUSE")),
        run_path=_path(cwd, env.get("WARPFORGE_RUNPATH")),
        keep_run_dir=bool(env.get("WARPFORGE_KEEP_RUNDIR")),
        debug=bool(env.get("WARPFORGE_DEBUG")),
        dumb=env.get("TERM", "dumb") in ("", "dumb"),
        columns=int(columns) if columns.isdigit() else None,
        proxies={scheme: proxy for scheme in ("http", "https") if (proxy := _proxy(env, scheme))},
        no_proxy=tuple(filter(None, env.get("no_proxy", env.get("NO_PROXY", "")).replace(",", " ").split())),
        s3_endpoint=env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL", ""),
        s3_region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION", ""),
        ssh_agent=env.get("SSH_AUTH_SOCK", ""),
        auth_files=tuple(_auth_files(env, home)),
        warnings=warnings,
        variable=env.get,
        config_home=_home(env, "XDG_CONFIG_HOME", home, ".config"),
        state_home=_home(env, "XDG_STATE_HOME", home, ".local/state"),
    )


def _home(env: Mapping[str, str], name: str, home: str, usual: str) -> Path | None:
    """As the XDG base directories are: a relative path does not count."""
    said = env.get(name, "")
    if said.startswith("/"):
        return Path(said)
    return Path(home, usual) if home.startswith("/") else None


def _proxy(env: Mapping[str, str], scheme: str) -> str:
    """As everybody does it; HTTP_PROXY in capitals is not read, for a CGI's client could set it."""
    names = ("http_proxy",) if scheme == "http" else ("https_proxy", "HTTPS_PROXY")
    return next((found for name in (*names, "all_proxy") if (found := env.get(name, "")).startswith("http")), "")


def _auth_files(env: Mapping[str, str], home: str) -> Iterator[Path]:
    """Where ``docker login`` and ``podman login`` write, the nearest first."""
    if env.get("REGISTRY_AUTH_FILE"):
        yield Path(env["REGISTRY_AUTH_FILE"])
    if env.get("DOCKER_CONFIG"):
        yield Path(env["DOCKER_CONFIG"], "config.json")
    elif home.startswith("/"):
        yield Path(home, ".docker", "config.json")
    if env.get("XDG_RUNTIME_DIR"):
        yield Path(env["XDG_RUNTIME_DIR"], "containers", "auth.json")


def _path(cwd: Path, text: str | None) -> Path | None:
    return cwd / text if text else None
