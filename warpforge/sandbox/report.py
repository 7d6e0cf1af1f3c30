"""What the watcher reports of the action's end, as ``launch`` writes it."""

from __future__ import annotations

EXIT_MISSING = 127  # what a shell says of a command that is not there
EXIT_DENIED = 126  # and of one that cannot be executed


class End:
    """How the action ended, as the watcher reports: ``over`` is a limit, ``reason`` why it never ran."""

    def __init__(self, code: int = -1, signal: int = 0, reason: str = "", text: str = "", over: str = "") -> None:
        self.code = code
        self.signal = signal
        self.reason = reason
        self.text = text
        self.over = over


def read_report(report: bytes) -> End:
    """A report as ``launch`` says; an empty one is that of a watcher which was killed."""
    kind, _, rest = report.decode("utf-8", "surrogateescape").partition(" ")
    if kind == "exit":
        return End(code=int(rest))
    if kind == "signal":
        return End(code=0, signal=int(rest))
    if kind == "limit":
        return End(over=rest)
    if kind == "exec":
        reason, _, text = rest.partition(" ")
        return End(EXIT_MISSING if reason == "missing" else EXIT_DENIED, 0, reason, text)
    return End(reason="backend", text=rest or "the watcher was killed")
