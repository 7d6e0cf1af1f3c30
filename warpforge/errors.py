"""Every error code, one exception tree, and the way from an error to an exit status.

    WarpforgeError
      Invalid    the arguments or a document are wrong      (also ValueError)
      Missing    something named is not there
      Failed     the work was done and failed
      Unable     this machine, or its world, cannot
      Internal   our bug: please report

An error is raised as ``Invalid("plot-invalid", "what, about which thing, what to do next", path="/steps/a")``:
the code without its prefix, one message for people, and details, which are API.
Wrapping keeps the chain: ``Failed("plot-step-failed", "...", cause=error, stepName="a")``.
The innermost cause decides the exit status.
"""

from __future__ import annotations

from typing import Any, Final

PREFIX: Final = "warpforge-error-"

EXIT_INTERRUPTED: Final = 130

# code -> exit status; None: a wrapper that never decides alone (its cause does; without one it counts as failed work)
CODES: Final[dict[str, int | None]] = {
    # the original's, verbatim
    "already-exists": 1,
    "catalog-invalid": 2,
    "catalog-missing-entry": 3,
    "catalog-name": 2,
    "catalog-parse": 2,
    "connection": 4,
    "datatoonew": 2,
    "executor-failed": None,
    "formula-execution-failed": 1,
    "formula-invalid": 2,
    "generator-failed": 1,
    "git": 4,
    "internal": 70,
    "invalid": 2,
    "invalid-argument": 2,
    "io": 4,
    "missing": 3,
    "module-invalid": 2,
    "plot-execution-failed": None,
    "plot-invalid": 2,
    "plot-step-failed": None,
    "query": 4,
    "searching-filesystem": 4,
    "serialization": 2,
    "syscall": 4,
    "unknown": 70,
    "ware-pack": None,
    "ware-unpack": None,
    "wareid-invalid": 2,
    "workspace": 4,
    "workspace-missing": 3,
    # ours
    "action-limit": 1,
    "attestation-invalid": 2,
    "fetch": 4,
    "interrupted": EXIT_INTERRUPTED,
    "job-invalid": 2,
    "job-step-failed": 1,
    "key-invalid": 2,
    "output-invalid": 1,
    "sandbox-unavailable": 4,
    "sandbox-unsafe": 4,
    "sign-missing": 4,
    "signature-invalid": 2,
    "store": 4,
    "ware-corrupt": 4,
    "ware-invalid": 2,
    "ware-limit": 2,
    "ware-mismatch": 1,
}


class WarpforgeError(Exception):
    """One error: a stable code, a message for people, details for programs, and its cause.

    ``code`` is given without its prefix. Details are rendered as text; None is left out.
    """

    def __init__(self, code: str, message: str, /, *, cause: BaseException | None = None, **details: object) -> None:
        if code not in CODES:
            raise LookupError(f"unknown error code: {code}")
        super().__init__(message)
        self.code: Final = PREFIX + code
        self.message: Final = message
        self.details: Final = {
            key: value if isinstance(value, str) else str(value) for key, value in details.items() if value is not None
        }
        self.__cause__ = cause

    @property
    def reason(self) -> str:
        """The ``reason`` detail, or an empty text."""
        return self.details.get("reason", "")

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.code, self.message, self.details, self.__cause__)

    def chain(self) -> list[WarpforgeError]:
        """This error and its causes, outermost first."""
        found: list[WarpforgeError] = []
        error: BaseException | None = self
        while isinstance(error, WarpforgeError) and error not in found:
            found.append(error)
            error = error.__cause__
        return found

    def to_serial(self) -> dict[str, Any]:
        """The JSON form: ``{"code", "message", "details"?, "cause"?}``, the cause nested likewise."""
        serial: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            serial["details"] = dict(self.details)
        cause = self.__cause__
        if isinstance(cause, WarpforgeError):
            serial["cause"] = cause.to_serial()  # a foreign cause has no code: our message says what it said
        return serial

    def exit_status(self) -> int:
        """The exit status of the innermost cause that decides."""
        for error in reversed(self.chain()):
            status = error._own_status()
            if status is not None:
                return status
        return 1

    def _own_status(self) -> int | None:
        if self.code == PREFIX + "fetch" and self.reason == "not-found":
            return 3
        return CODES[self.code.removeprefix(PREFIX)]


class Invalid(WarpforgeError, ValueError):
    """The arguments or a document are wrong."""


class Missing(WarpforgeError):
    """Something named is not there."""


class Failed(WarpforgeError):
    """The work was done and failed."""


class Unable(WarpforgeError):
    """This machine, or its world, cannot."""


class Internal(WarpforgeError):
    """Our bug: please report."""


def _revive(
    kind: type[WarpforgeError],
    code: str,
    message: str,
    details: dict[str, str],
    cause: BaseException | None,
) -> WarpforgeError:
    return kind(code.removeprefix(PREFIX), message, cause=cause, **details)


def beneath(error: WarpforgeError, message: str, /, **details: object) -> WarpforgeError:
    """An error of the same code and kind, which says first what came to nothing because of this one."""
    kind = type(error) if type(error) in WarpforgeError.__subclasses__() else WarpforgeError
    return kind(error.code.removeprefix(PREFIX), message, cause=error, **{**error.details, **details})


def store_error(error: OSError, what: str) -> Unable:
    """An operating-system error met while writing or reading the store, as the code ``store``.

    The reason tells a full disk, a read-only one and any other fault apart.
    """
    import errno

    reason = {
        errno.ENOSPC: "full",
        errno.EDQUOT: "full",
        errno.EROFS: "readonly",
        errno.EACCES: "readonly",
        errno.EPERM: "readonly",
    }.get(error.errno or 0, "io")
    advice = {
        "full": "the disk is full: free some space and run the command again",
        "readonly": "it cannot be written: check its owner and mount",
        "io": "the system refused",
    }[reason]
    return Unable(
        "store",
        f"{what}: {advice} ({error.strerror or error})",
        cause=error,
        reason=reason,
        path=name.decode("utf-8", "backslashreplace") if isinstance(name := error.filename, bytes) else name,
    )
