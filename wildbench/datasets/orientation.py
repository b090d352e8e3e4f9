"""Boxes of a picture as its EXIF tag turns it, put where they are among the stored pixels."""

from __future__ import annotations

from decimal import Decimal

from wildbench.datasets.corners import Box


def stored_box(box: Box, width: int, height: int, orientation: int) -> Box:
    """Turn a box back.

    Args:
        box: Left, top, right, bottom in the turned picture, which is `height` wide and `width` high.
        width: Of the stored pixels.
        height: Of the stored pixels.
        orientation: EXIF orientation, 5 to 8.

    Returns:
        Left, top, right, bottom in the stored pixels.

    Example:
        >>> box = (Decimal(0), Decimal(0), Decimal(2), Decimal(1))
        >>> [int(value) for value in stored_box(box, 30, 20, 6)]  # the top left is stored at the bottom left
        [0, 18, 1, 20]
    """
    left, top, right, bottom = box
    across = (top, bottom) if orientation in (5, 6) else (width - bottom, width - top)
    down = (left, right) if orientation in (5, 8) else (height - right, height - left)
    return Decimal(across[0]), Decimal(down[0]), Decimal(across[1]), Decimal(down[1])
