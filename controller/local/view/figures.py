"""Figures as people read them: scores, intervals, durations, sizes."""

from urllib.parse import unquote, urlsplit

MINUTE_S = 60
HOUR_S = 3600
KIB = 1024


def score(value: float) -> str:
    """A score of 0 to 1 in percent."""
    return f"{100 * value:.1f}"


def signed(value: float) -> str:
    """A difference of scores in points."""
    return f"{100 * value:+.1f}"


def interval(low: float, high: float) -> str:
    """The limits of a score."""
    return f"{score(low)} to {score(high)}"


def signed_interval(low: float, high: float) -> str:
    """The limits of a difference."""
    return f"{signed(low)} to {signed(high)}"


def duration(seconds: float) -> str:
    """In the two largest units."""
    whole = round(seconds)
    if whole < MINUTE_S:
        return f"{whole} s"
    if whole < HOUR_S:
        return f"{whole // MINUTE_S} min {whole % MINUTE_S:02d} s"
    return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S:02d} min"


def size(count: int) -> str:
    """Bytes in the largest binary unit."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < KIB:
            return f"{value:.0f} {unit}"
        value /= KIB
    return f"{value:.1f} GiB"


def number(count: float) -> str:
    """With thousands separated."""
    return f"{count:,.0f}"


def local_path(uri: str) -> str:
    """A ``file://`` URI as a path; others as they are."""
    parts = urlsplit(uri)
    return unquote(parts.path) if parts.scheme == "file" else uri
