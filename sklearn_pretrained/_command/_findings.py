"""What was looked at → one line of a report."""

from __future__ import annotations

from dataclasses import dataclass

FINE, AMISS = "fine", "amiss"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    what : str
    found : str
    remark : str
        What follows from it.
    state : {"fine", "amiss"}
    """

    what: str
    found: str
    remark: str = ""
    state: str = FINE

    def cells(self) -> tuple[str, str, str]:
        """Return the line's cells."""
        return self.what, self.found, self.remark


def size(n: float) -> str:
    """Write a number of bytes."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":  # noqa: PLR2004
            break
        n /= 1000
    return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
