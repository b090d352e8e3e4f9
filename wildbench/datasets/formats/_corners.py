"""Boxes of other forms made COCO's, exactly: decimal numbers in, `[x, y, width, height]` out, each repair reported.

Arithmetic is decimal and without rounding, so that what a file says as 26.8 stays 26.8.
"""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation, localcontext

from wildbench.datasets.label_checks import Finding

EXACT = Context(prec=60)
"""Digits for sums of coordinates, which have up to ten digits before the point and rarely twenty after it."""

LEFT_OUT = "left out, and its image is not scored for its category"
"""What becomes of a box that cannot be kept: the animal is there, and finding it is no mistake."""

UNKNOWN_LEFT_OUT = "left out, and its image is not scored"
"""The same where it does not say which animal it is."""

_LARGEST = Decimal(10**9)
_SMALLEST = Decimal("1e-320")
Number = int | float
Box = tuple[Decimal, Decimal, Decimal, Decimal]
"""Left, top, right, bottom from 0, right and bottom exclusive: COCO's x, y, x + width, y + height."""


def number(text: str) -> Decimal:
    """Read a number of a label file.

    Raises:
        ValueError: It is none, not finite, or absurd.
    """
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"{text.strip()[:30]!r} is not a number") from None
    if not value.is_finite() or abs(value) > _LARGEST or (value and abs(value) < _SMALLEST):
        raise ValueError(f"{text.strip()[:30]!r} is not a coordinate")
    return value


def plain(value: Decimal) -> Number:
    """An int where the number is whole, else the nearest float.

    Example:
        >>> plain(Decimal("3.0")), plain(Decimal("26.8"))
        (3, 26.8)
    """
    return int(value) if value == value.to_integral_value() else float(value)


def exact(value: Number) -> Decimal:
    """The shortest decimal that reads back as this number.

    Example:
        >>> exact(26.8)
        Decimal('26.8')
    """
    return Decimal(repr(value))


def repaired(
    box: Box, width: int, height: int, place: str, slack: Decimal = Decimal(0)
) -> tuple[list[Number] | None, list[Finding]]:
    """Clip a box to its image and drop it where nothing is left.

    Args:
        box: Left, top, right, bottom.
        width: Of the image, in pixels.
        height: Of the image, in pixels.
        place: Where the box stands, for the findings.
        slack: Pixels that are clipped without a finding: the rounding of a form that rounds.

    Returns:
        `[x, y, width, height]`, or None for a box without area; and what was found.

    Example:
        >>> box, findings = repaired((Decimal(4), Decimal(-2), Decimal(12), Decimal(5)), 10, 10, "a.xml")
        >>> box, findings[0].message
        ([4, 0, 6, 5], 'leaves its image of 10 x 10 by 2 pixels; clipped')
    """
    left, top, right, bottom = box
    shown = "[" + ", ".join(f"{float(value):g}" for value in box) + "]"
    if left >= right or top >= bottom:
        return None, [Finding("box-empty", place, f"{shown} has no area; {LEFT_OUT}", "measure the box again")]
    inside = max(left, Decimal(0)), max(top, Decimal(0)), min(right, Decimal(width)), min(bottom, Decimal(height))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        message = f"{shown} lies wholly outside its image of {width} x {height}; {LEFT_OUT}"
        return None, [Finding("box-off-image", place, message, "measure the box again")]
    findings = []
    amount = max(abs(a - b) for a, b in zip(inside, box, strict=True))
    if amount > slack:
        message = f"leaves its image of {width} x {height} by {float(amount):g} pixels; clipped"
        findings.append(Finding("box-outside", place, message, "check the box and the image's size", "warning"))
    with localcontext(EXACT):
        sides = inside[2] - inside[0], inside[3] - inside[1]
    return [plain(value) for value in (*inside[:2], *sides)], findings
