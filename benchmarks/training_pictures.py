"""What light-copy is trained on besides photographs: drawn graphics, and random edits of both.

Nothing here is shared with the pictures that it is measured on (tests/support/graphics.py and edits.py): other fonts,
layouts and sizes, and edits whose kinds and strengths are drawn at random.
"""

import io
import string
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

FONTS = Path("/usr/share/fonts")  # any TrueType and OpenType fonts of the machine
RESAMPLING = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
Random = np.random.Generator


def family(random: Random, fonts: Sequence[Path], members: int) -> list[Image.Image]:
    """Pictures of one style and different content: what must be told apart although it looks alike."""
    style = _Style(random, fonts)
    draw = _DRAW[int(random.integers(len(_DRAW)))]
    return [draw(style, random) for _ in range(members)]


class _Style:
    """What the members of a family have in common: the canvas, colours, fonts."""

    def __init__(self, random: Random, fonts: Sequence[Path]) -> None:
        self.width, self.height = (int(side) for side in random.integers(200, 900, 2))
        dark, light = random.integers(0, 70, 3), random.integers(200, 256, 3)
        if random.random() < 0.6:
            dark, light = np.zeros(3, int), np.full(3, 255)
        swapped = random.random() < 0.2
        self.paper, self.ink = (tuple(map(int, c)) for c in ((dark, light) if swapped else (light, dark)))
        self.colours = [tuple(map(int, random.integers(0, 256, 3))) for _ in range(4)]
        self.size = int(random.integers(10, 28))
        self.font_file = str(fonts[int(random.integers(len(fonts)))])
        self.margin = int(random.uniform(0.02, 0.15) * min(self.width, self.height))
        self.line = int(random.integers(1, 6))
        self.count = int(random.integers(3, 30))
        self.spacing = float(random.uniform(1.1, 2.0))

    def canvas(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        image = Image.new("RGB", (self.width, self.height), self.paper)
        return image, ImageDraw.Draw(image)

    def font(self, size: int) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(self.font_file, max(size, 6))


def _letters(random: Random, low: int, high: int) -> str:
    return "".join(random.choice(list(string.ascii_letters), int(random.integers(low, high))))


def _text(style: _Style, random: Random) -> Image.Image:
    image, draw = style.canvas()
    font, y = style.font(style.size), style.margin
    while y < style.height - style.margin - style.size:
        if random.random() < 0.9:
            line = " ".join(_letters(random, 2, 9) for _ in range(int(style.width / style.size / 2)))
            fits = (style.width - 2 * style.margin) / max(draw.textlength(line, font) / len(line), 1)
            line = line[: int(fits * (1 if random.random() < 0.7 else random.random()))]
            draw.text((style.margin, y), line, style.ink, font)
        y += int(style.size * style.spacing)
    return image


def _title(style: _Style, random: Random) -> Image.Image:
    """One letter, number or word, as large as the canvas allows."""
    image, draw = style.canvas()
    text = _letters(random, 1, 2) if style.count < 10 else _letters(random, 3, 9)
    if style.count > 24:
        text = str(int(random.integers(1000)))
    size = int(min(style.height * 0.7, 1.4 * style.width / len(text)))
    draw.text((style.width / 2, style.height / 2), text, style.ink, style.font(size), anchor="mm")
    return image


def _cells(style: _Style, random: Random) -> Image.Image:
    """Squares of two colours in a grid, some of them the same in the whole family."""
    count = 6 + style.count
    cells = random.random((count, count)) < 0.5
    cells[: style.line + 2, : style.line + 2] = True
    image = Image.fromarray(np.where(cells, 0, 255).astype(np.uint8)).resize(
        (count * 10,) * 2, Image.Resampling.NEAREST
    )
    return ImageOps.expand(ImageOps.colorize(image, style.ink, style.paper), style.margin, style.paper)


def _bar_code(style: _Style, random: Random) -> Image.Image:
    image, draw = style.canvas()
    for x in np.flatnonzero(random.random(style.width // 4) < 0.5) * 4:
        draw.rectangle([int(x), style.margin, int(x) + 3, style.height - style.margin], fill=style.ink)
    return image


def _shapes(style: _Style, random: Random) -> Image.Image:
    """Outlined or filled shapes and lines."""
    image, draw = style.canvas()
    filled = style.size > 20
    for _ in range(style.count // 2 + 1):
        x, y = (int(random.integers(side)) for side in image.size)
        wide, high = (int(random.integers(side // 20 + 1, side // 3 + 2)) for side in image.size)
        box = [x, y, x + wide, y + high]
        colour = style.colours[int(random.integers(4))] if filled else style.ink
        look = {"fill": colour} if filled else {"outline": colour, "width": style.line}
        kind = int(random.integers(5))
        if kind == 0:
            draw.line([x, y, *(int(random.integers(side)) for side in image.size)], colour, style.line)
        elif kind == 1:
            draw.arc(box, int(random.integers(360)), int(random.integers(360)), colour, style.line)
        elif kind == 2:
            draw.ellipse(box, **look)
        elif kind == 3:
            points = [(int(random.integers(x, x + wide)), int(random.integers(y, y + high))) for _ in range(4)]
            draw.polygon(points, **look)
        else:
            draw.rectangle(box, **look)
    return image


def _chart(style: _Style, random: Random) -> Image.Image:
    """Bars lying or standing, points, a curve with an area below it, or a pie; sometimes with a grid."""
    image, draw = style.canvas()
    left, top = style.margin + 30, style.margin + 20
    right, bottom = style.width - style.margin, style.height - style.margin - 20
    if style.size % 2:
        for y in np.linspace(top, bottom, 6):
            draw.line([left, int(y), right, int(y)], (190, 190, 190))
    kind, count = style.count % 5, style.count // 2 + 3
    values = random.random(count)
    xs = np.linspace(left, right, count + 1)
    ys = bottom - values * (bottom - top)
    if kind == 0:
        for at in range(count):
            draw.rectangle([xs[at] + 2, ys[at], max(xs[at + 1] - 2, xs[at] + 3), bottom], style.colours[0])
    elif kind == 1:
        for at, y in enumerate(np.linspace(top, bottom, count + 1)[:-1]):
            draw.rectangle([left, y + 2, left + values[at] * (right - left), y + 8], style.colours[1])
    elif kind == 2:
        for across, down in random.random((count * 5, 2)):
            x, y = left + across * (right - left), top + down * (bottom - top)
            draw.ellipse([x - 3, y - 3, x + 3, y + 3], style.colours[2])
    elif kind == 3:
        walk = np.cumsum(random.normal(size=count * 3))
        walk = bottom - (walk - walk.min()) / max(float(np.ptp(walk)), 1e-6) * (bottom - top)
        points = list(zip(np.linspace(left, right, len(walk)), walk, strict=True))
        draw.polygon([(left, bottom), *points, (right, bottom)], style.colours[3])
    else:
        ends = np.concatenate([[0], np.cumsum(values) / values.sum() * 360])
        box = [left, top, left + min(right - left, bottom - top), top + min(right - left, bottom - top)]
        for at in range(count):
            draw.pieslice(box, ends[at], ends[at + 1], style.colours[at % 4], style.paper)
    draw.line([left, top, left, bottom, right, bottom], style.ink, 2)
    font = style.font(style.size)
    draw.text((style.width // 3, style.margin // 2), _letters(random, 4, 12), style.ink, font)
    return image


def _panel(style: _Style, random: Random) -> Image.Image:
    """Boxes of one arrangement, with other words and bars in them: forms, tables, programs."""
    image, draw = style.canvas()
    columns, font = 1 + style.count % 4, style.font(style.size)
    draw.rectangle([0, 0, style.width, style.margin + style.size], fill=style.colours[0])
    draw.text((style.margin, 2), _letters(random, 4, 14), style.paper, font)
    step = int(style.size * style.spacing) + 4
    for y in range(style.margin + 2 * style.size, style.height - step, step):
        for x in range(style.margin, style.width - style.margin, max(style.width // columns, 40)):
            if random.random() < 0.8:
                draw.text((x, y), " ".join(_letters(random, 2, 8) for _ in range(1 + style.line // 2)), style.ink, font)
            if style.line > 3:
                draw.rectangle([x - 4, y - 2, x + style.width // columns - 8, y + step - 4], outline=style.colours[1])
    return image


def _colour(style: _Style, random: Random) -> Image.Image:
    """A plain colour, or a slope between two."""
    first, second = random.integers(0, 256, (2, 3))
    if style.count < 16:
        grey = random.random() < 0.4
        return Image.new("RGB", (style.width, style.height), tuple(map(int, np.full(3, first[0]) if grey else first)))
    slope = np.linspace(first, second, 256).astype(np.uint8)[None]
    image = Image.fromarray(slope).resize((style.width, style.height))
    return image if style.count < 23 else image.transpose(Image.Transpose.ROTATE_90)


_DRAW: Sequence[Callable[[_Style, Random], Image.Image]] = (
    *(_text, _text, _title, _title, _cells, _bar_code, _shapes, _shapes, _chart, _chart, _panel, _colour),
)


def find_fonts() -> list[Path]:
    """The fonts of this machine that have Latin letters."""
    found = sorted(path for path in FONTS.rglob("*") if path.suffix in (".ttf", ".otf"))
    odd = ("symbol", "emoji", "dingbat", "math", "d050000l", "fallback", "music")
    return [path for path in found if not any(word in path.name.lower() for word in odd)]


def edited(image: Image.Image, others: Sequence[Image.Image], random: Random, heavy: bool) -> Image.Image:
    """A copy by one to three random edits and a lossy encoding; `heavy`: also by those that leave little of it."""
    kinds = _LIGHT + (_HEAVY if heavy else ())
    for at in random.choice(len(kinds), int(random.choice([1, 1, 2, 3])), replace=False):
        image = kinds[at](image, others, random).convert("RGB")
    if random.random() < 0.5:
        image = _resized(image, others, random)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG" if random.random() < 0.8 else "WEBP", quality=int(random.integers(22, 96)))
    return Image.open(buffer).convert("RGB")


def _resized(image: Image.Image, others: object, random: Random) -> Image.Image:
    short = float(np.exp(random.uniform(np.log(100), np.log(1000))))
    factor = min(max(short / min(image.size), 0.2), 2.5)
    return _to(image, image.width * factor, image.height * factor, random)


def _to(image: Image.Image, width: float, height: float, random: Random) -> Image.Image:
    size = max(16, round(width)), max(16, round(height))
    return image.resize(size, RESAMPLING[int(random.integers(3))])


def _squeezed(image: Image.Image, others: object, random: Random) -> Image.Image:
    if random.random() < 0.5:
        return _to(image, 256, 256, random)
    return _to(image, image.width * random.uniform(0.7, 1.4), image.height, random)


def _framed(image: Image.Image, others: object, random: Random) -> Image.Image:
    """A border of one colour on all sides, on two or on one."""
    wide, high = (int(random.uniform(0.02, 0.2) * side) for side in image.size)
    sides = [[wide, high, wide, high], [wide, 0, wide, 0], [0, high, 0, high], [0, 0, 0, high]][int(random.integers(4))]
    grey = int(random.choice([255, 255, 0, int(random.integers(256))]))
    return ImageOps.expand(image, tuple(sides), (grey, grey, grey))


def _squared(image: Image.Image, others: object, random: Random) -> Image.Image:
    return ImageOps.pad(image, (256, 256), color=(255, 255, 255) if random.random() < 0.7 else (0, 0, 0))


def _centred(image: Image.Image, others: object, random: Random) -> Image.Image:
    """The square in the middle."""
    return ImageOps.fit(image, (256, 256) if random.random() < 0.5 else (min(image.size),) * 2)


def _cropped(low: float) -> Callable[..., Image.Image]:
    def change(image: Image.Image, others: object, random: Random) -> Image.Image:
        area, shape = random.uniform(low, 1), float(np.exp(random.uniform(-0.25, 0.25)))
        width = min(image.width, max(16, int(image.width * (area * shape) ** 0.5)))
        height = min(image.height, max(16, int(image.height * (area / shape) ** 0.5)))
        left, top = int(random.integers(image.width - width + 1)), int(random.integers(image.height - height + 1))
        return image.crop((left, top, left + width, top + height))

    return change


def _toned(image: Image.Image, others: object, random: Random) -> Image.Image:
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(float(random.uniform(0.6, 1.5)))
    return image


def _tinted(image: Image.Image, others: object, random: Random) -> Image.Image:
    pixels = np.asarray(image) / 255
    gamma = random.uniform(0.7, 1.4, 3)
    return Image.fromarray((255 * pixels**gamma).astype(np.uint8))


def _soft_or_noisy(image: Image.Image, others: object, random: Random) -> Image.Image:
    kind = int(random.integers(3))
    if kind == 0:
        return image.filter(ImageFilter.GaussianBlur(float(random.uniform(0.003, 0.01)) * min(image.size)))
    if kind == 1:
        return image.filter(ImageFilter.UnsharpMask(2, int(random.integers(80, 250))))
    noise = random.normal(0, random.uniform(4, 18), (image.height, image.width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def _written_on(image: Image.Image, others: object, random: Random) -> Image.Image:
    """Half-transparent words, once or many times."""
    layer = Image.new("RGBA", image.size)
    draw, font = ImageDraw.Draw(layer), ImageFont.load_default(max(8, int(image.width * random.uniform(0.04, 0.14))))
    colour = (*(int(value) for value in ([255] * 3 if random.random() < 0.6 else random.integers(0, 256, 3))),)
    words = " ".join(_letters(random, 3, 8) for _ in range(int(random.integers(1, 4))))
    for _ in range(int(random.choice([1, 1, 1, 6]))):
        at = float(random.uniform(0.2, 0.8)) * image.width, float(random.uniform(0.1, 0.9)) * image.height
        draw.text(at, words, (*colour, int(random.integers(60, 256))), font, anchor="mm")
    return Image.alpha_composite(image.convert("RGBA"), layer)


def _captioned(image: Image.Image, others: object, random: Random) -> Image.Image:
    strip = int(random.uniform(0.1, 0.3) * image.height) + 8
    above, dark = random.random() < 0.5, random.random() < 0.5
    paper, ink = ((0, 0, 0), (255, 255, 255)) if dark else ((255, 255, 255), (0, 0, 0))
    whole = Image.new("RGB", (image.width, image.height + strip), paper)
    whole.paste(image, (0, strip if above else 0))
    at = image.width / 2, strip / 2 if above else image.height + strip / 2
    words = " ".join(_letters(random, 2, 8) for _ in range(int(random.integers(2, 7))))
    ImageDraw.Draw(whole).text(at, words, ink, ImageFont.load_default(max(8, strip // 3)), anchor="mm")
    return whole


def _turned(image: Image.Image, others: object, random: Random) -> Image.Image:
    if random.random() < 0.25:
        return image.rotate(90 * int(random.integers(1, 4)), expand=True)
    fill = tuple(int(value) for value in np.full(3, random.choice([0, 0, 255])))
    return image.rotate(float(random.uniform(-35, 35)), Image.Resampling.BICUBIC, True, fillcolor=fill)


def _beside(image: Image.Image, others: Sequence[Image.Image], random: Random) -> Image.Image:
    """One of two or four pictures of a collage."""
    width, height = max(image.width // 2, 16), max(image.height // 2, 16)
    across, down = ((2, 2), (2, 1), (1, 2))[int(random.integers(3))]
    whole, mine = Image.new("RGB", (across * width, down * height)), int(random.integers(across * down))
    for at in range(across * down):
        one = image if at == mine else others[int(random.integers(len(others)))]
        whole.paste(one.resize((width, height)), (at % across * width, at // across * height))
    return whole


_LIGHT: tuple[Callable[..., Image.Image], ...] = (
    *(_squeezed, _framed, _squared, _centred, _cropped(0.6), _toned, _tinted, _soft_or_noisy, _written_on),
    lambda image, *_: ImageOps.mirror(image),
    lambda image, *_: image.convert("L"),
)
_HEAVY: tuple[Callable[..., Image.Image], ...] = (_cropped(0.2), _cropped(0.2), _captioned, _turned, _beside)
