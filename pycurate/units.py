"""Sizes and times as people read them."""

SIZES = ((1.0, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB"), (1e15, "PB"))
TIMES = ((1.0, "s"), (60.0, "min"), (3600.0, "h"), (86400.0, "days"))


def bytes_text(number: float) -> str:
    """Bytes to three digits, such as 1.07 MB (of 10^6 bytes)."""
    size, unit = max((entry for entry in SIZES if number >= 0.9995 * entry[0]), default=SIZES[0])
    return f"{_digits(number / size)} {unit}"


def seconds_text(number: float) -> str:
    """A time to three digits, such as 95 s, 2.5 min, 30 h; up to twice a unit the smaller one is taken."""
    if number < 1:
        return "< 1 s"
    size, unit = max((entry for entry in TIMES if number >= 2 * entry[0]), default=TIMES[0])
    return f"{_digits(number / size)} {unit}"


def _digits(number: float) -> str:
    return f"{number:.0f}" if number >= 99.95 else f"{number:.3g}"
