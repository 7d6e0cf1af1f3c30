"""What a box that could not be made is called, and what to do about it. Pure."""

from __future__ import annotations

import errno
import os
from typing import Final

from warpforge.errors import Failed, Invalid, Missing, Unable, WarpforgeError

_USERNS_ADVICE: Final = (
    "allow user namespaces (sysctl user.max_user_namespaces above 0, kernel.unprivileged_userns_clone=1, "
    "kernel.apparmor_restrict_unprivileged_userns=0), or in a container run it with them permitted"
)
# step -> (reason, what is wrong, what to do)
_STEPS: Final = {
    "user-namespace": ("user-namespaces", "user namespaces are off or refused", _USERNS_ADVICE),
    "mount-namespace": ("mount-namespaces", "a mount namespace is refused", "run it with CAP_SYS_ADMIN or as a user"),
    "uid": ("build-uid", "root could not become the build uid", "give it CAP_SETUID and CAP_SETGID"),
    "proc": (
        "proc",
        "a fresh /proc is refused because the one here is masked, as in many containers",
        "run the container with an unmasked /proc (docker: --security-opt systempaths=unconfined)",
    ),
    "namespace": ("user-namespaces", "a nested namespace is refused", _USERNS_ADVICE),
    "root": ("mount", "the box's root could not be shown to the back-end", "make sure that /tmp is a directory"),
    "fork": ("backend", "the back-end could not be started", "see warpforge healthcheck"),
    "dev": ("dev", "the box's devices could not be made", "see warpforge healthcheck"),
    "init": ("user-namespaces", "a pid namespace inside the box's is refused", _USERNS_ADVICE),
    "cgroup": ("cgroup", "the box's control group could not be joined", "see warpforge healthcheck"),
}


def missing_program(name: str, package: str) -> Unable:
    """A back-end that is not on this machine."""
    return Unable(
        "sandbox-unavailable",
        f"{name} is not installed: no box can be made; install it (Debian: apt-get install {package})",
        reason=name,
    )


def make_failure(step: str, number: int, at: str, text: str) -> WarpforgeError:
    """The error for a step of the helper that failed with this errno, at this path of the box."""
    said = os.strerror(number) if number else text
    if step == "refused":
        return Unable(
            "sandbox-unsafe",
            f"nothing can be mounted at {at}: {text}; choose another path or another ware",
            reason="mountpoint",
            path=at,
        )
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO) and step not in _STEPS:
        reason = {errno.EROFS: "readonly", errno.EIO: "io"}.get(number, "full")
        return Unable("store", f"the run's work directory cannot be written: {said}", reason=reason, path=at or None)
    if step == "impossible":
        return Invalid("formula-invalid", f"the action's {at}: {text}", reason=at)
    if step == "mount":
        return Unable(
            "sandbox-unavailable",
            f"the mount at {at or '/'} could not be made: {said}",
            reason="mount",
            path=at,
            errno=number,
        )
    if step == "source" and number in (errno.ENOENT, errno.ENOTDIR):
        return Missing("missing", f"there is nothing to mount at {text}", path=text)
    if step == "source":
        return Unable(
            "sandbox-unavailable",
            f"an input could not be reached: {text or said} ({said})",
            reason="source",
            path=text or None,
            errno=number,
        )
    if step == "gather":
        return Failed("output-invalid", f"an output could not be read: {text}: {said}", reason="io", path=text or None)
    reason, what, advice = _STEPS.get(step, (step, f"step {step} failed", "see warpforge healthcheck"))
    return Unable("sandbox-unavailable", f"no box can be made: {what} ({said}); {advice}", reason=reason, errno=number)


def make_backend_failure(backend: str, stderr: str, text: str) -> Unable:
    """A back-end ended without having run the action."""
    said = stderr.strip().removeprefix("bwrap: ") or text
    advice = _USERNS_ADVICE if "namespace" in said.lower() else "see warpforge healthcheck"
    return Unable("sandbox-unavailable", f"{backend} could not make the box: {said}; {advice}", reason=backend)


def helper_died() -> Unable:
    """The helper, or the zygote above it, is gone in the middle of a run."""
    return Unable(
        "sandbox-unavailable",
        "the box's helper was killed before it could say how the action ended; run the command again",
        reason="helper",
    )


def find_exec_error(stderr: str) -> tuple[str, int] | None:
    """What bwrap says when only the last step, executing the command, failed: the reason and a shell's exit code."""
    line = stderr.strip().rpartition("\n")[2]
    if not line.startswith("bwrap: execvp "):
        return None
    reasons = {
        errno.ENOENT: ("missing", 127),
        errno.ENOTDIR: ("missing", 127),
        errno.ENOEXEC: ("format", 126),
        errno.E2BIG: ("too-long", 126),
    }
    for number, found in reasons.items():
        if line.endswith(os.strerror(number)):
            return found
    return "denied", 126
