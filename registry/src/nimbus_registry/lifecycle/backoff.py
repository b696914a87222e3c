"""How long a failing plugin waits, and when it is left alone."""

from collections.abc import Sequence

WINDOW_SECONDS = 600.0
QUARANTINE_AFTER = 5
FIRST_SECONDS = 1.0
LONGEST_SECONDS = 60.0


def counting(failures: Sequence[float], now: float) -> list[float]:
    """The failures that still count: those of the last ten minutes."""
    return [at for at in failures if now - at < WINDOW_SECONDS][-QUARANTINE_AFTER:]


def quarantined(failures: Sequence[float], now: float) -> bool:
    """Whether a person must look: five failures in ten minutes."""
    return len(counting(failures, now)) >= QUARANTINE_AFTER


def pause(failed: int, jitter: float) -> float:
    """Seconds before the next start after so many failures: doubling from 1 to 60.

    Args:
        failed: how many failures count, at least 1.
        jitter: 0 to 1; takes off up to a quarter, so that plugins that failed together start apart.
    """
    longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failed - 1, 10))
    return longest * (1 - jitter / 4)
