"""How well a share is known."""

from math import sqrt


def wilson(share: float, among: int) -> tuple[float, float]:
    """The 95 % interval of Wilson (JASA 22, 1927) for a share that was seen among so many, at least one."""
    z = 1.96
    centre = (share + z * z / (2 * among)) / (1 + z * z / among)
    half = z * sqrt(share * (1 - share) / among + (z / (2 * among)) ** 2) / (1 + z * z / among)
    # The share lies within, and is the bound where it is 0 or 1: so rounding must not set it outside.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
