"""Drawing on a Pillow image: text that fits, colors, ticks, a color bar, letters, a scale bar."""

import math
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

import numpy as np

BACKGROUND = (17, 19, 23)
TEXT = (236, 238, 241)
FAINT = (160, 166, 175)
HIDDEN = (46, 50, 57)
_MINUS = "\N{MINUS SIGN}"
_SUPERSCRIPTS = "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"


@lru_cache(maxsize=32)
def font(size: int, bold: bool = False):
    """Return DejaVu Sans, which VTK's matplotlib brings along, or Pillow's own font without it."""
    from PIL import ImageFont

    try:
        import matplotlib
    except ImportError:
        return ImageFont.load_default(size)
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), size)


def number(value: float) -> str:
    """Return a value in up to six digits, with a true minus sign."""
    return f"{value + 0.0:.6g}".replace("-", _MINUS)


def roundTicks(lower: float, upper: float) -> tuple[list[float], int]:
    """Return round values within a range, and the power of ten to take out of their labels."""
    largest = max(abs(lower), abs(upper))
    power = math.floor(math.log10(largest * (1 + 1e-6)))  # float32 knows no exact 1e-9
    most = 7 if lower == 0 else 7.9  # two signs share the length of one
    step = next(s for s in _roundSteps(power - 2) if (upper - lower) / s <= most)
    first, last = math.ceil(lower / step - 1e-6), math.floor(upper / step + 1e-6)
    return [index * step for index in range(first, last + 1)], 0 if -3 < power < 4 else power


def _roundSteps(power: int):
    """Yield 1, 2, 5, 10, 20, ... times a power of ten."""
    while True:
        yield from (float(f"{digit}e{power}") for digit in (1, 2, 5))
        power += 1


def wrap(text: str, textFont, width: float) -> list[str]:
    """Break a text into lines no wider than `width` pixels; words too long are cut with '...'."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and textFont.getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(_shorten(word, textFont, width))
    return lines


def _shorten(word: str, textFont, width: float) -> str:
    """Cut the middle out of a word that is too wide: both ends of a layer's name tell most."""
    keep = len(word)
    short = word
    while keep > 2 and textFont.getlength(short) > width:
        keep -= 1
        short = f"{word[: (keep + 1) // 2]}...{word[len(word) - keep // 2 :]}"
    return short


def drawLines(draw, position, lines, textFont, fill=TEXT, spacing: float = 1.35) -> int:
    """Draw lines of text below each other and return the y below the last one."""
    x, y = position
    for line in lines:
        draw.text((x, y), line, font=textFont, fill=fill)
        y += round(textFont.size * spacing)
    return y


def drawOutlinedText(draw, position, text, textFont, anchor: str) -> None:
    """Draw text that stays readable on any picture."""
    draw.text(
        position, text, font=textFont, fill=TEXT, anchor=anchor, stroke_width=3, stroke_fill="black"
    )


def drawBorderLetters(draw, box, letters: dict[str, str]) -> None:
    """Write the patient side at each border of a picture at (left, top, right, bottom)."""
    left, top, right, bottom = box
    inset = 12
    places = {
        "left": ((left + inset, (top + bottom) // 2), "lm"),
        "right": ((right - inset, (top + bottom) // 2), "rm"),
        "top": (((left + right) // 2, top + inset), "mt"),
        "bottom": (((left + right) // 2, bottom - inset), "mb"),
    }
    for border, (position, anchor) in places.items():
        drawOutlinedText(draw, position, letters[border], font(26, bold=True), anchor)


def drawTarget(draw, center) -> None:
    """Mark a point with four short strokes that leave the point itself free."""
    x, y = center
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        stroke = (x + 12 * dx, y + 12 * dy, x + 24 * dx, y + 24 * dy)
        draw.line(stroke, fill="black", width=5)
        draw.line(stroke, fill=TEXT, width=2)


def drawScaleBar(draw, corner, pixelsPerMillimeter: float, widest: float) -> None:
    """Draw a bar of a round length, at most `widest` pixels, that ends at a lower right corner."""
    limit = widest / pixelsPerMillimeter
    steps = takewhile(lambda step: step <= limit, _roundSteps(math.floor(math.log10(limit)) - 1))
    length = max(steps)
    right, bottom = corner
    left = right - length * pixelsPerMillimeter
    draw.line((left - 2, bottom, right + 2, bottom), fill="black", width=8)
    draw.line((left, bottom, right, bottom), fill=TEXT, width=4)
    middle = ((left + right) / 2, bottom - 8)
    drawOutlinedText(draw, middle, f"{length:g} mm", font(20), "mb")


def drawColorBar(image, box, colors: np.ndarray, colorRange, visible: np.ndarray) -> None:
    """Draw a vertical color bar with ticks to its right.

    Args:
        image: the Pillow image drawn on.
        box: (left, top, right, bottom) of the bar.
        colors: (n, 4) RGBA 0..1, lowest value first.
        colorRange: the values of the first and last color.
        visible: (n,) bool; False where the picture shows no color.
    """
    from PIL import Image, ImageDraw

    left, top, right, bottom = box
    pixels = np.round(colors[:, :3] * 255).astype(np.uint8)
    pixels[~visible] = HIDDEN
    strip = Image.fromarray(pixels[::-1, None, :]).resize((right - left, bottom - top), 0)
    image.paste(strip, (left, top))
    draw = ImageDraw.Draw(image)
    draw.rectangle((left - 1, top - 1, right, bottom), outline=FAINT)
    lower, upper = colorRange
    ticks, power = roundTicks(lower, upper)
    for value in ticks:
        y = bottom - 1 - (value - lower) / (upper - lower) * (bottom - 1 - top)
        draw.line((right, y, right + 8, y), fill=TEXT, width=2)
        label = number(value / 10.0**power)
        draw.text((right + 14, y), label, font=font(20), fill=TEXT, anchor="lm")
    if power:
        exponent = str(power).translate(str.maketrans("-0123456789", _SUPERSCRIPTS))
        factor = f"\N{MULTIPLICATION SIGN} 10{exponent}"
        draw.text((left, top - 8), factor, font=font(20), fill=TEXT, anchor="lb")
