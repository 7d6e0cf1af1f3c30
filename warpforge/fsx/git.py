"""git as a process, in bare repositories that we made, where nothing of outside counts.

No configuration of the system or of a person, no hooks, no replacements, no prompts, no protocol that was not asked
for. git is never started inside of a repository of somebody else.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from warpforge.errors import Unable

# by a file, for what git starts on the other side of a pipe forgets what came by the command line
_CONFIG: Final = """\
[safe]
	directory = *
[core]
	hooksPath = /dev/null
	fsmonitor = false
	protectHFS = true
	protectNTFS = true
	useReplaceRefs = false
	bigFileThreshold = 32m
[transfer]
	fsckObjects = true
	credentialsInUrl = die
[fetch]
	unpackLimit = 1
	writeCommitGraph = false
[protocol]
	version = 2
	allow = never
[gc]
	auto = 0
[maintenance]
	auto = false
[credential]
	helper =
[http]
	followRedirects = false
"""
# faults in who and when, which old histories are full of, say nothing about trees
_HARMLESS: Final = (
    "badDate", "badDateOverflow", "badEmail", "badName", "badTimezone", "missingEmail", "missingNameBeforeEmail",
    "missingSpaceBeforeDate", "missingSpaceBeforeEmail", "multipleAuthors", "zeroPaddedDate",
)  # fmt: skip
_ID: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


_GUARD: Final = """\
exec 3<&0 </dev/null
(read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 &
guard=$!
exec 3<&-
"$0" "$@"
said=$?
kill -KILL $guard
exit $said
"""


def is_id(text: str) -> bool:
    """Whether a text is the full id of an object: 40 hexadecimal digits, or 64 in a repository of sha256."""
    return bool(_ID.match(text))


class Bare:
    """A bare repository of ours at ``directory``, made when it is not there. ``size``: of its ids, 40 or 64 digits.

    Errors: ``git`` (missing: git is not installed; failed).
    """

    def __init__(self, directory: Path, *, size: int = 40) -> None:
        self.directory: Final = directory
        self._config = directory.parent / f"{directory.name}.config"
        if not directory.exists():
            fsck = '[fetch "fsck"]\n' + "".join(f"\t{name} = ignore\n" for name in _HARMLESS)
            self._config.write_text(_CONFIG + fsck)
            kind = "sha256" if size == 64 else "sha1"
            self._run(["git", "init", "-q", "--bare", "--template=", f"--object-format={kind}", str(directory)], {})

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What one command says. Errors: ``git`` (failed, missing)."""
        return self._run(self.command(*arguments), self.environment(), stdin)

    def start_reading(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command that is asked on stdin and answers on stdout; it ends with its stdin. Errors: ``git`` (missing)."""
        return self._start(self.command(*arguments), self.environment(), subprocess.DEVNULL)

    def start_guarded(self, *arguments: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """A command that may wait for others, in a process group of its own, which does not outlive us.

        Its stdin is the lifeline: when that closes, which a kill of ours does too, the whole group is killed.
        Errors: ``git`` (missing).
        """
        if shutil.which("git", path=environment["PATH"]) is None:
            raise _not_installed(None)
        command = ["/bin/sh", "-c", _GUARD, *self.command(*arguments)]
        return self._start(command, environment, subprocess.PIPE)

    def _start(self, command: list[str], environment: Mapping[str, str], stderr: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command,
                env=environment,
                start_new_session=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        except FileNotFoundError as error:
            raise _not_installed(error) from error

    def command(self, *arguments: str) -> list[str]:
        """The words of a command in this repository."""
        return ["git", "--git-dir", str(self.directory), *arguments]

    def environment(
        self,
        protocols: Iterable[str] = (),
        config: Iterable[tuple[str, str]] = (),
        more: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """What a command finds around it. ``config``: settings that nobody else may see; ``protocols``: to fetch by."""
        settings = [*config, *((f"protocol.{name}.allow", "always") for name in protocols)]
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C",
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._config),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": ":".join(protocols),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_CONFIG_COUNT": str(len(settings)),
            **{f"GIT_CONFIG_KEY_{number}": key for number, (key, _) in enumerate(settings)},
            **{f"GIT_CONFIG_VALUE_{number}": value for number, (_, value) in enumerate(settings)},
            **(more or {}),
        }

    def has_commit(self, commit: str) -> bool:
        """Whether a commit is here."""
        try:
            return self.run("cat-file", "-t", commit).strip() == b"commit"
        except Unable as error:
            if error.reason == "missing":
                raise
            return False

    def borrow(self, objects: Path, shallow: bytes = b"") -> None:
        """Also find objects in another place of this machine, so that they need not come again.

        ``shallow``: which of its commits have no parents there, as git keeps them. Raises OSError.
        """
        if "\n" in str(objects):
            return  # the file has one path a line
        (self.directory / "objects" / "info").mkdir(exist_ok=True)
        (self.directory / "objects" / "info" / "alternates").write_text(f"{objects}\n")
        if shallow:
            (self.directory / "shallow").write_bytes(shallow)

    def packed_bytes(self) -> int:
        """Bytes of all objects as they lie here, also of those that are still coming."""
        total = 0
        for directory, _, names in os.walk(self.directory / "objects"):
            for name in names:
                try:
                    total += os.lstat(os.path.join(directory, name)).st_size
                except OSError:
                    continue
        return total

    def _run(self, command: list[str], environment: dict[str, str], stdin: bytes = b"") -> bytes:
        try:
            done = subprocess.run(
                command, env=environment or self.environment(), input=stdin, capture_output=True, check=False
            )
        except FileNotFoundError as error:
            raise _not_installed(error) from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise Unable("git", f"git: {said[-1] if said else 'failed'}", reason="failed")
        return done.stdout


def _not_installed(error: OSError | None) -> Unable:
    return Unable("git", "git is not installed: install it", cause=error, reason="missing")
