"""Which boot of the machine this is: what was not fsynced is believed only within the boot that wrote it."""

from __future__ import annotations

_boot_id = ""


def boot_id() -> str:
    """This boot of the machine."""
    global _boot_id
    if not _boot_id:
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                _boot_id = file.read().strip()
        except OSError:
            _boot_id = "unknown"
    return _boot_id
