"""What people do to a picture before it meets its original again: edits by name, each of an image to a file."""

import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

WHITE = (255, 255, 255)
BICUBIC = Image.Resampling.BICUBIC


@dataclass(frozen=True)
class Edit:
    """`change` gets the picture, other pictures to put beside it, and its own source of randomness."""

    group: str  # encoding, framing or heavy
    change: Callable[[Image.Image, Sequence[Image.Image], np.random.Generator], Image.Image]
    format: str = "JPEG"
    quality: int = 90

    def file(self, image: Image.Image, name: str, others: Sequence[Image.Image] = ()) -> bytes:
        """The edited picture (RGB in) as a file; `name` is the picture's, from which all that is random follows."""
        changed = self.change(image, others, np.random.default_rng(zlib.crc32(name.encode())))
        buffer = io.BytesIO()
        changed.save(buffer, self.format, **({} if self.format in ("PNG", "GIF") else {"quality": self.quality}))
        return buffer.getvalue()


def _same(image: Image.Image, *_: object) -> Image.Image:
    return image


def _scaled(factor: float) -> Callable[..., Image.Image]:
    def change(image: Image.Image, *_: object) -> Image.Image:
        width, height = (max(1, round(side * factor)) for side in image.size)
        return image.resize((width, height), Image.Resampling.LANCZOS)

    return change


def _cropped(area: float) -> Callable[..., Image.Image]:
    """A window of this share of the area and of the same shape, anywhere in the image."""

    def change(image: Image.Image, others: object, random: np.random.Generator) -> Image.Image:
        width, height = (max(1, round(side * area**0.5)) for side in image.size)
        left, top = random.integers(image.width - width + 1), random.integers(image.height - height + 1)
        return image.crop((left, top, left + width, top + height))

    return change


def _keep_ratio(image: Image.Image, *_: object) -> Image.Image:
    """The shorter side to 256 pixels."""
    return _scaled(256 / min(image.size))(image)


def _border_256(image: Image.Image, *_: object) -> Image.Image:
    """The longer side to 256 pixels, in the middle of a white square."""
    return ImageOps.pad(image, (256, 256), BICUBIC, WHITE)


def _watermark(image: Image.Image, *_: object) -> Image.Image:
    """Words in half-transparent white across the middle."""
    layer = Image.new("RGBA", image.size)
    font = ImageFont.load_default(max(8, image.width // 10))
    middle = (image.width / 2, image.height / 2)
    ImageDraw.Draw(layer).text(middle, "© sample stock", (255, 255, 255, 128), font, anchor="mm")
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def _banner(image: Image.Image, *_: object) -> Image.Image:
    """A white strip with a caption below the picture, a fifth of its height."""
    wider = Image.new("RGB", (image.width, image.height + image.height // 5), WHITE)
    wider.paste(image)
    middle = (image.width / 2, image.height * 1.1)
    font = ImageFont.load_default(max(8, image.height // 12))
    ImageDraw.Draw(wider).text(middle, "when you see it at last", (0, 0, 0), font, anchor="mm")
    return wider


def _collage(image: Image.Image, others: Sequence[Image.Image], random: np.random.Generator) -> Image.Image:
    """The picture and three others, a quarter of the area each."""
    width, height = (max(1, side // 2) for side in image.size)
    four = [image, *(others[at] for at in random.choice(len(others), 3, replace=False))]
    whole = Image.new("RGB", (2 * width, 2 * height))
    for place, at in enumerate(random.permutation(4)):
        whole.paste(four[at].resize((width, height), BICUBIC), (place % 2 * width, place // 2 * height))
    return whole


def _noisy(image: Image.Image, others: object, random: np.random.Generator) -> Image.Image:
    noise = random.normal(0, 12, (image.height, image.width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


EDITS = {
    "jpeg 75": Edit("encoding", _same, quality=75),
    "jpeg 50": Edit("encoding", _same, quality=50),
    "jpeg 30": Edit("encoding", _same, quality=30),
    "webp 60": Edit("encoding", _same, "WEBP", 60),
    "png": Edit("encoding", _same, "PNG"),
    "gif": Edit("encoding", _same, "GIF"),
    "half size": Edit("encoding", _scaled(0.5)),
    "twice the size": Edit("encoding", _scaled(2)),
    "256 squeezed": Edit("encoding", lambda image, *_: image.resize((256, 256), BICUBIC)),
    "256 keep ratio": Edit("encoding", _keep_ratio),
    "256 border": Edit("encoding", _border_256),
    "brighter": Edit("encoding", lambda image, *_: ImageEnhance.Brightness(image).enhance(1.3)),
    "darker": Edit("encoding", lambda image, *_: ImageEnhance.Brightness(image).enhance(0.7)),
    "256 center crop": Edit("framing", lambda image, *_: ImageOps.fit(image, (256, 256), BICUBIC)),
    "mirror": Edit("framing", lambda image, *_: ImageOps.mirror(image)),
    "crop to 80 %": Edit("framing", _cropped(0.8)),
    "white border": Edit("framing", lambda image, *_: ImageOps.expand(image, max(1, image.width // 10), WHITE)),
    "grey": Edit("framing", lambda image, *_: image.convert("L").convert("RGB")),
    "watermark": Edit("framing", _watermark),
    "contrast": Edit("framing", lambda image, *_: ImageEnhance.Contrast(image).enhance(1.4)),
    "sharpened": Edit("framing", lambda image, *_: image.filter(ImageFilter.UnsharpMask(2, 150))),
    "blurred": Edit("framing", lambda image, *_: image.filter(ImageFilter.GaussianBlur(min(image.size) / 150))),
    "noise": Edit("framing", _noisy),
    "banner": Edit("heavy", _banner),
    "crop to half": Edit("heavy", _cropped(0.5)),
    "crop to a quarter": Edit("heavy", _cropped(0.25)),
    "turn by 25 degrees": Edit("heavy", lambda image, *_: image.rotate(25, BICUBIC, expand=True)),
    "quarter turn": Edit("heavy", lambda image, *_: image.transpose(Image.Transpose.ROTATE_90)),
    "collage": Edit("heavy", _collage),
}
