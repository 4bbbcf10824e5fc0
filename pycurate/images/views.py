"""How a model wants its pixels."""

from dataclasses import dataclass
from typing import Literal

from pycurate.errors import UsageError


@dataclass(frozen=True)
class View:
    """How a decoded, upright RGB image becomes a model's input: resized with antialias, then cropped in the centre.

    `resize` is one of open_clip's modes: `shortest` brings the shorter side to the size and crops, `squash`
    ignores the aspect ratio, `longest` brings the longer side to the size and pads with `fill` (0-255).

    Raises UsageError for a mode or an interpolation that is none of these.
    """

    height: int
    width: int
    resize: Literal["shortest", "squash", "longest"] = "shortest"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    fill: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("resize", self.resize, ("shortest", "squash", "longest")),
            ("interpolation", self.interpolation, ("bicubic", "bilinear")),
        ):
            if value not in known:
                raise UsageError(f"A View has the {name} {value!r}; it is one of {', '.join(known)}.")
