"""Outputs of a quantized network that run into the end of their range, so that what lies beyond is lost.

A converter that gives boxes the range of scores, or that was calibrated with other images, cuts an output off: many of
its values are then the same, the largest or the smallest that its 8 bits can say, and the boxes behind them are wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, FiniteFloat, NonNegativeInt

from wildbench.datasets.findings import Finding
from wildbench.submissions.process import ask

if TYPE_CHECKING:
    from wildbench.submissions.decode import Outputs
    from wildbench.submissions.process import Opened, Sandbox

LEAST_SHARE = 0.002
"""Of an output's values: in the 85 columns of YOLOX, 4 % of the coordinates. A sound int8 YOLOX-Nano has 0.00001."""

LEAST_DENSITY = 0.25
"""Of the values beyond half of the bound, those at the bound itself. A sound int8 YOLOX-Nano has at most 0.014, and
between 0.4 and 0.7 where its boxes are cut off at 1 or 1.5."""

LEAST_VALUES = 32

Range = tuple[float, float]


class End(BaseModel):
    """How many values of an output stand at its largest or smallest one; crosses from the detector's process."""

    output: str
    bound: FiniteFloat
    at: NonNegativeInt
    """Values at the bound."""
    outer: NonNegativeInt
    """Values between half of the bound and the bound."""
    size: NonNegativeInt
    """All values."""


class Ends(BaseModel):
    """Both ends of each output on one image."""

    ends: list[End] = []


def find_saturation(box: Sandbox, images: Iterable[npt.NDArray[np.uint8]]) -> list[Finding]:
    """Find outputs of a quantized submission that are cut off at the end of their range, on real images.

    Args:
        box: The open submission, one of which `Inspection.quantized` is true: floats may be clipped on purpose.
        images: A few; uint8, H x W x 3, RGB.

    Raises:
        DetectorError: It crashed, hung, ran out of memory or answered with nonsense.

    Example:
        >>> with Sandbox("yolox_nano_full_integer.tflite") as box:  # doctest: +SKIP
        ...     find_saturation(box, images)[0].code
        'saturated-output'
    """
    return saturated(end for image in images for end in ask(box, f"{__name__}:measure_ends", Ends, image).ends)


def measure_ends(opened: Opened, image: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """Both ends of each output on one image; runs in the child. A backend may know its `output_ranges`, by name."""
    outputs = opened.backend.run(opened.prepare(image))
    return Ends(ends=ends_of(outputs, getattr(opened.backend, "output_ranges", {}))).model_dump()


def ends_of(outputs: Outputs, ranges: Mapping[str, Range] | None = None) -> list[End]:
    """How many values of each output are its largest, and its smallest.

    Args:
        outputs: A network's arrays by name; floats, after dequantizing. Integers are left out.
        ranges: What the numbers of an output can say, (smallest, largest), where that is known; otherwise the largest
            and smallest value are taken. Whole numbers are then left out: labels, counts, and boxes that are clipped to
            the image.

    Example:
        >>> ends_of({"boxes": np.float32([0.1, 0.2, 0.4, 0.7, 0.7, 0.7])}, {"boxes": (0.0, 0.7)})
        [End(output='boxes', bound=0.7, at=3, outer=4, size=6)]
    """
    ends = []
    for name, output in outputs.items():
        values = np.ravel(output).astype(np.float64)
        known = (ranges or {}).get(name)
        if not values.size or not np.isfinite(values).all() or output.dtype.kind != "f":
            continue
        low, high = known or (float(values.min()), float(values.max()))
        for bound in (min(low, 0.0), max(high, 0.0)):
            if not bound or (known is None and bound.is_integer()):
                continue
            shares = values / bound
            at, outer = (int(np.count_nonzero(shares > least)) for least in (1 - 1e-6, 0.5))
            ends.append(End(output=name, bound=bound, at=at, outer=outer, size=values.size))
    return ends


def saturated(ends: Iterable[End]) -> list[Finding]:
    """Name the outputs that stand at one bound in a large share of their values, over all images.

    Example:
        >>> end = End(output="boxes", bound=0.996, at=700, outer=1000, size=30_000)
        >>> [(finding.code, finding.place) for finding in saturated([end, end])]
        [('saturated-output', 'boxes')]
    """
    groups: dict[tuple[str, float], list[End]] = defaultdict(list)
    sizes: dict[tuple[str, bool], int] = defaultdict(int)
    for end in ends:
        groups[end.output, end.bound].append(end)
        sizes[end.output, end.bound > 0] += end.size
    findings = []
    for (output, bound), same in groups.items():
        at, outer, size = sum(end.at for end in same), sum(end.outer for end in same), sizes[output, bound > 0]
        if at >= max(LEAST_VALUES, LEAST_SHARE * size, LEAST_DENSITY * outer):
            side = "largest" if bound > 0 else "smallest"
            message = f"{at / size:.1%} of its values are {bound:.4g}, the {side} that it can say"
            remedy = (
                "give boxes and scores outputs of their own, and calibrate with images prepared as the manifest says"
            )
            findings.append(Finding("saturated-output", output, message, remedy, "warning"))
    return findings
