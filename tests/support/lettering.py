"""Words drawn on images, with the share of the image that they cover."""

import random

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = "sale today free shipping Copyright photo stock Welcome Hotel www.example.com COFFEE breakfast menu".split()
COLOURS = (("white", "black"), ("black", "white"), ("yellow", "black"), ("red", "white"))


def lettered(image: Image.Image, height: float, seed: int) -> tuple[Image.Image, float]:
    """The image with one to four lines of words in Pillow's own font, and the share of it within their boxes.

    `height`: of a line, as a share of the image's shorter side. A box is that of the drawn words, as Pillow states it.
    """
    chance = random.Random(seed)
    drawn, size = image.copy(), round(height * min(image.size))
    draw, font, edge = ImageDraw.Draw(drawn), ImageFont.load_default(size), max(1, size // 15)
    covered = np.zeros((image.height, image.width), bool)
    top = image.height // 20
    for _ in range(chance.randint(1, 4)):
        words = chance.sample(WORDS, 3)
        while words:
            text, at = " ".join(words), (image.width // 20, top)
            left, upper, right, lower = map(round, draw.textbbox(at, text, font, stroke_width=edge))
            if right < image.width and lower < image.height:
                fill, outline = chance.choice(COLOURS)
                draw.text(at, text, fill, font, stroke_width=edge, stroke_fill=outline)
                covered[upper:lower, left:right] = True
                break
            words.pop()
        top += round(size * chance.uniform(1.4, 2))
    return drawn, float(covered.mean())
