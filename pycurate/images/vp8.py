"""How coarse a lossy WebP is, told by the header of its VP8 frame (RFC 6386; sections below are its)."""

import numpy as np

from pycurate.images.jpeg import quality_of

POWER, FACTOR = 1.4, 2**-2.14
"""A JPEG whose steps have the mean FACTOR * step ** POWER loses as much (benchmarks/fit_webp.py)."""

_START = b"\x9d\x01\x2a"
_CHUNKS = 64  # looked at, at most, for the first frame
_HEADER = 256  # bytes of a frame that hold all that is read of it
# Quantisation steps of AC coefficients by index (section 14.1).
_STEPS = np.concatenate(
    [
        np.arange(4, 58),
        np.arange(58, 118, 2),
        np.arange(119, 174, 3),
        np.arange(177, 230, 4),
        [234, 239, 245, 249, 254, 259, 264, 269, 274, 279, 284],
    ]
)


class _Bits:
    """The boolean decoder (section 7.3), for flags and numbers whose bits are as likely set as not."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data[:_HEADER].ljust(_HEADER, b"\0"))
        self._left = 8 * _HEADER - 8  # bits behind those in `_value`
        self._value, self._range = self._bits >> self._left, 255

    def flag(self) -> bool:
        split = 1 + ((self._range - 1) * 128 >> 8)
        found = self._value >= split
        self._value, self._range = (self._value - split, self._range - split) if found else (self._value, split)
        while self._range < 128:
            self._left -= 1
            self._value, self._range = self._value << 1 | self._bits >> self._left & 1, self._range << 1
        return found

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = value << 1 | self.flag()
        return value

    def signed(self, bits: int) -> int:
        value = self.number(bits)
        return -value if self.flag() else value

    def given(self, bits: int, otherwise: int = 0) -> int:
        """A signed number behind a flag that says whether it is there."""
        return self.signed(bits) if self.flag() else otherwise


def webp_quality(data: bytes) -> float | None:
    """The quality, 1 to 100, of a JPEG that loses as much as this WebP; None if it is lossless or damaged."""
    step = webp_step(data)
    return None if step is None else quality_of(FACTOR * step**POWER)


def webp_step(data: bytes) -> float | None:
    """The quantisation step of a lossy WebP's first frame, the geometric mean of its segments; None if it has none.

    The file's chunks are those of the WebP container specification (RFC 9649).
    """
    frame = _lossy_frame(data)
    if len(frame) < 10 or frame[3:6] != _START:
        return None
    steps, shares = _segments(_Bits(frame[10:]))
    return float(2 ** (np.log2(steps) @ shares))


def _lossy_frame(data: bytes) -> bytes:
    """The beginning of the first frame, empty if there is none or it is lossless; an animation's is within a chunk."""
    at = 12
    for _ in range(_CHUNKS):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"VP8L":  # lossless
            break
        if name == b"VP8 ":
            return data[at + 8 : at + 8 + min(size, _HEADER)]
        at += 24 if name == b"ANMF" else 8 + size + size % 2
    return b""


def _segments(bits: _Bits) -> tuple[np.ndarray, np.ndarray]:
    """int (n,), the steps of the frame's segments, and float (n,), the share of macroblocks that each has."""
    bits.number(2)  # the colour space and how values are clamped
    own, absolute, shares = [0, 0, 0, 0], False, np.array([1.0, 0, 0, 0])
    if bits.flag():  # segments (section 9.3)
        mapped, updated = bits.flag(), bits.flag()
        if updated:
            absolute = bits.flag()
            own = [bits.given(7) for _ in range(4)]
            for _ in range(4):
                bits.given(6)  # of the loop filter
        if mapped:  # by a tree of three probabilities, each the share of its left branch
            left, first, third = ((bits.number(8) if bits.flag() else 255) / 255 for _ in range(3))
            shares = np.array([left * first, left * (1 - first), (1 - left) * third, (1 - left) * (1 - third)])
    bits.number(1 + 6 + 3)  # the loop filter (section 9.6)
    if bits.flag() and bits.flag():  # its changes
        for _ in range(8):
            bits.given(6)
    bits.number(2)  # how many partitions there are
    index = bits.number(7)
    return _STEPS[np.clip(own if absolute else np.add(own, index), 0, 127)], shares
