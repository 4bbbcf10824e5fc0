"""Drawn pictures that are no photographs, by kind: those of a kind are alike in style, and no two are the same."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = (
    "amber basin candle delta ember fable garden harbor island jungle kettle lantern meadow nickel orchard pepper "
    "quarry ribbon saddle timber umbrella velvet willow yellow zephyr anchor bridge copper dragon engine forest guitar "
    "hammer insect jacket kitten ladder marble needle oyster pencil quiver rocket silver tunnel urchin violet walnut"
).split()
INK = (20, 20, 20)
PAPER = (255, 255, 255)
COLOURS = ((214, 39, 40), (31, 119, 180), (44, 160, 44), (255, 127, 14), (148, 103, 189), (140, 86, 75))


def _page(random: np.random.Generator) -> Image.Image:
    """Paragraphs of words, as a scanned page has them."""
    image = Image.new("RGB", (620, 877), PAPER)
    draw, font, y = ImageDraw.Draw(image), ImageFont.load_default(15), 60
    while y < 800:
        for _ in range(int(random.integers(2, 9))):
            line = " ".join(random.choice(WORDS, int(random.integers(8, 10))))[: int(random.integers(40, 66))]
            draw.text((60, y), line, INK, font)
            y += 20
        y += 20
    return image


def _letter(random: np.random.Generator) -> Image.Image:
    """One letter in the middle."""
    image = Image.new("RGB", (256, 256), PAPER)
    letter = chr(65 + int(random.integers(26)))
    ImageDraw.Draw(image).text((128, 128), letter, INK, ImageFont.load_default(180), anchor="mm")
    return image


def _code(random: np.random.Generator) -> Image.Image:
    """Modules as in a QR code, with its three finders."""
    cells = random.random((29, 29)) < 0.5
    finder = np.pad(np.pad(np.ones((3, 3), bool), 1), 1, constant_values=True)
    for rows, columns in (
        (slice(0, 8), slice(0, 8)),
        (slice(0, 8), slice(21, 29)),
        (slice(21, 29), slice(0, 8)),
    ):
        cells[rows, columns] = False
        at = rows.start + (rows.start > 0), columns.start + (columns.start > 0)
        cells[at[0] : at[0] + 7, at[1] : at[1] + 7] = finder
    modules = np.kron(np.pad(cells, 4), np.ones((10, 10), bool))
    return Image.fromarray(np.where(modules, 0, 255).astype(np.uint8)).convert("RGB")


def _drawing(random: np.random.Generator) -> Image.Image:
    """A few black strokes on white."""
    image = Image.new("RGB", (400, 300), PAPER)
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(4, 9))):
        x, y, wide, high = (int(random.integers(low, top)) for low, top in ((20, 280), (20, 200), (40, 120), (40, 100)))
        shape = [(x, y), (x + wide, y + high)]
        kind = int(random.integers(4))
        if kind == 0:
            draw.line(shape, INK, 3)
        elif kind == 1:
            draw.ellipse(shape, outline=INK, width=3)
        elif kind == 2:
            draw.rectangle(shape, outline=INK, width=3)
        else:
            draw.arc(shape, int(random.integers(180)), int(random.integers(180, 360)), INK, 3)
    return image


def _word(random: np.random.Generator) -> Image.Image:
    """A single word, as a logo or a title card has it."""
    image = Image.new("RGB", (480, 270), PAPER)
    word = str(random.choice(WORDS))
    ImageDraw.Draw(image).text((240, 135), word, INK, ImageFont.load_default(80), anchor="mm")
    return image


def _bars(random: np.random.Generator) -> Image.Image:
    """A bar chart with axes, ticks and a title."""
    image = Image.new("RGB", (480, 360), PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    colour = COLOURS[int(random.integers(len(COLOURS)))]
    count = int(random.integers(4, 10))
    for bar in range(count):
        left, top = 60 + bar * 380 // count, 310 - int(random.integers(20, 250))
        draw.rectangle([left + 6, top, left + 380 // count - 6, 310], fill=colour)
        draw.text((left + 10, 316), str(random.choice(WORDS))[:3], INK, font)
    draw.line([(60, 40), (60, 310), (450, 310)], INK, 2)
    draw.text((240, 20), " ".join(random.choice(WORDS, 3)), INK, font, anchor="mm")
    return image


def _curves(random: np.random.Generator) -> Image.Image:
    """A line chart of one to three series."""
    image = Image.new("RGB", (480, 360), PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    for series in range(int(random.integers(1, 4))):
        steps = np.cumsum(random.normal(0, 1, 40))
        scaled = 300 - 240 * (steps - steps.min()) / max(float(np.ptp(steps)), 1e-6)
        points = [(60 + at * 10, float(y)) for at, y in enumerate(scaled)]
        draw.line(points, COLOURS[series], 3)
    draw.line([(60, 40), (60, 310), (450, 310)], INK, 2)
    draw.text((240, 20), " ".join(random.choice(WORDS, 3)), INK, font, anchor="mm")
    return image


def _screen(random: np.random.Generator) -> Image.Image:
    """A window with a title bar, a menu at the side and rows of text."""
    image = Image.new("RGB", (640, 400), (245, 245, 248))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    draw.rectangle([0, 0, 640, 30], fill=(52, 73, 94))
    draw.text((12, 7), " ".join(random.choice(WORDS, 2)), PAPER, font)
    draw.rectangle([0, 30, 140, 400], fill=(225, 228, 235))
    for row in range(int(random.integers(4, 9))):
        draw.text((14, 50 + row * 34), str(random.choice(WORDS)), INK, font)
    for row in range(int(random.integers(5, 13))):
        draw.text((165, 50 + row * 26), " ".join(random.choice(WORDS, int(random.integers(3, 9)))), INK, font)
    return image


def _plain(number: int) -> Image.Image:
    """One colour: white, black, greys, then hues."""
    greys = (255, 0, 64, 128, 192)
    if number < len(greys):
        return Image.new("RGB", (300, 200), (greys[number],) * 3)
    angle = 2 * math.pi * (number - len(greys)) / 7
    return Image.new("RGB", (300, 200), tuple(int(128 + 110 * math.cos(angle + turn)) for turn in (0, 2.1, 4.2)))


KINDS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "text page": _page,
    "letter": _letter,
    "QR-like": _code,
    "line drawing": _drawing,
    "single word": _word,
    "bar chart": _bars,
    "line chart": _curves,
    "screenshot": _screen,
}
PLAIN = 12


def graphics(each: int = 12, seed: int = 0) -> dict[str, list[Image.Image]]:
    """By kind, `each` different pictures of it, and all 12 of `plain colour`; equal seeds give equal pictures."""
    found: dict[str, list[Image.Image]] = {}
    for place, (kind, draw) in enumerate(KINDS.items()):
        random = np.random.default_rng((seed, place))
        different: dict[bytes, Image.Image] = {}
        while len(different) < each:
            image = draw(random)
            different.setdefault(image.tobytes(), image)
        found[kind] = list(different.values())
    return found | {"plain colour": [_plain(number) for number in range(PLAIN)]}
