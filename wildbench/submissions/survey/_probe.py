"""What a network answers to two pictures, column by column; and what it would detect by another manifest.

`probe` and `predict_as` run in the sandbox's child; what they return is plain data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, FiniteFloat

from wildbench.errors import WrongOutput
from wildbench.submissions.decode import Outputs
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.preprocess import place

if TYPE_CHECKING:
    from wildbench.submissions.process import Opened

Matrix = npt.NDArray[Any]

MOST_DETECTIONS = 100
"""Of one image that are compared."""

NEARLY_ALL = 0.95
"""Of the rows of which something must be true, to be said of the output."""

LEAST_ROWS = 5
"""Rows of boxes: fewer tell nothing by their order."""

LONGEST_FRACTION = 2.0
"""Boxes whose columns stay below this are fractions: a box may reach beyond the image."""


class Column(BaseModel):
    """The values of one column over all candidates and both pictures."""

    low: FiniteFloat = 0.0
    high: FiniteFloat = 0.0
    whole: bool = False
    """Whole numbers only."""
    finite: bool = True

    @property
    def kind(self) -> str:
        """In words."""
        if not self.finite:
            return "NaN or infinite values"
        if self.low == self.high:
            return "always the same"
        if self.whole:
            return "whole numbers"
        return "0 to 1: probabilities, or fractions" if self.low >= 0 and self.high <= 1 else "real numbers"


class Answered(BaseModel):
    """One output, read as candidates with columns."""

    name: str
    dtype: str
    shape: list[int]
    """For the second picture."""
    candidates: Literal["rows", "columns"] = "rows"
    count: int = 0
    """Candidates in both pictures."""
    columns: list[Column] = []
    first: int = 0
    """The first of four columns that may be a box."""
    ordered: FiniteFloat = 0.0
    """Share of the candidates in which the third of these is beyond the first, and the fourth beyond the second."""
    positive: FiniteFloat = 0.0
    """Share in which the third and the fourth are not negative."""
    sums_to_one: bool = False
    """Whether the columns, those of a box apart, do in every candidate."""

    @property
    def form(self) -> Literal["xyxy", "cxcywh"] | None:
        """What four columns of it are by their order; None where they are not boxes yet, or too few to tell."""
        if self.count < LEAST_ROWS or len(self._box) < 4 or not all(column.finite for column in self._box):
            return None
        if self.ordered >= NEARLY_ALL:
            return "xyxy"
        return "cxcywh" if self.positive >= NEARLY_ALL and self._box_low > -self._box_high else None

    @property
    def unit(self) -> Literal["pixels", "fractions"]:
        """Of these four columns."""
        return "fractions" if self._box_high <= LONGEST_FRACTION else "pixels"

    @property
    def _box(self) -> list[Column]:
        return self.columns[self.first : self.first + 4]

    @property
    def _box_high(self) -> float:
        return max((column.high for column in self._box), default=0.0)

    @property
    def _box_low(self) -> float:
        return min((column.low for column in self._box), default=0.0)

    def within(self, begin: int, end: int | None = None) -> bool:
        """Whether all values of these columns are between 0 and 1."""
        return all(column.finite and column.low >= 0 and column.high <= 1 for column in self.columns[begin:end])


class Probe(BaseModel):
    """Every output, in the network's order; crosses from the detector's process."""

    outputs: list[Answered] = []
    canvas: tuple[int, int] = (0, 0)
    """(height, width) of the input, pixels."""
    moved: bool = True
    """Whether the two pictures gave different answers."""


def probe(opened: Opened, image: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """Show a grey picture and this one to a network, and describe its outputs; runs in the child."""
    grey = opened.outputs(np.full_like(image, 128))
    canvas = place(opened.manifest.input, image.shape[0], image.shape[1]).canvas
    return describe(grey, opened.outputs(image), canvas).model_dump()


def describe(grey: Outputs, answer: Outputs, canvas: tuple[int, int]) -> Probe:
    """Describe a network's answers to two pictures.

    Example:
        >>> rows = np.float32([[1, 2, 9, 8, 0.5, 3]] * 6)[None]
        >>> [output] = describe({"out": rows}, {"out": rows}, (16, 16)).outputs
        >>> output.form, output.unit, output.columns[5].kind
        ('xyxy', 'pixels', 'always the same')
    """
    same = all(name in grey and np.array_equal(grey[name], values) for name, values in answer.items())
    outputs = [_answered(name, [grey[name], values]) for name, values in answer.items() if name in grey]
    return Probe(outputs=outputs, canvas=canvas, moved=not same)


def _answered(name: str, both: Sequence[Matrix]) -> Answered:
    last = both[-1]
    told: dict[str, Any] = {"name": name, "dtype": str(last.dtype), "shape": list(last.shape)}
    (first, _), (second, turned) = (_matrix(values) for values in both)
    matrix = np.concatenate([first, second]) if first.shape[1:] == second.shape[1:] else second
    if last.dtype.kind not in "fiub" or not matrix.size:
        return Answered(**told)
    numbers = matrix.astype(np.float64)
    columns = [_column(values) for values in numbers.T]
    begin = _first_of_box(columns)
    box, rest = numbers[:, begin : begin + 4], numbers[:, begin + 4 :]
    if box.shape[1] == 4:
        filled = box[box.any(axis=1)]  # finished detections are often padded with zeros
        if len(filled):
            told["ordered"] = float(np.mean((filled[:, 2] > filled[:, 0]) & (filled[:, 3] > filled[:, 1])))
            told["positive"] = float(np.mean((filled[:, 2:] >= 0).all(axis=1)))
    others = rest if rest.shape[1] > 1 else numbers
    sums = others.shape[1] > 1 and bool(np.allclose(others.sum(axis=1), 1, atol=1e-3))
    side: Literal["rows", "columns"] = "columns" if turned else "rows"
    told |= {"candidates": side, "count": len(numbers), "columns": columns, "first": begin, "sums_to_one": sums}
    return Answered(**told)


def _matrix(values: Matrix) -> tuple[Matrix, bool]:
    """An output as a matrix with a row for each candidate, and whether they stood in columns."""
    while values.ndim > 2 and len(values) == 1:
        values = values[0]
    if values.ndim < 2 or (len(values) == 1 and values.shape[1] != 4):
        return values.reshape(-1, 1), False
    if values.ndim == 2:
        turned = values.shape[0] < values.shape[1] and values.shape[1] != 4
        return (values.T, True) if turned else (values, False)
    if values.ndim == 3 and values.shape[-1] == values.shape[-2]:  # a feature map, K x H x W
        return values.reshape(len(values), -1).T, True
    return values.reshape(-1, values.shape[-1]), False


def _column(values: npt.NDArray[np.float64]) -> Column:
    finite = values[np.isfinite(values)]
    if len(finite) < len(values):
        return Column(finite=False)
    return Column(low=float(finite.min()), high=float(finite.max()), whole=bool((finite == np.rint(finite)).all()))


def _first_of_box(columns: Sequence[Column]) -> int:
    """Where a box begins: in seven columns after the image's number, or after image, label and score."""
    if len(columns) != 7 or not columns[0].whole:
        return 0
    return 3 if columns[1].whole and 0 <= columns[2].low <= columns[2].high <= 1 else 1


class Predicted(BaseModel):
    """Detections in one image by one manifest; crosses from the detector's process."""

    boxes: list[tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]] = []
    """x1, y1, x2, y2, pixels of the image."""
    labels: list[int] = []
    scores: list[FiniteFloat] = []


def predict_as(opened: Opened, image: npt.NDArray[np.uint8], manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Detect by each of several manifests; the network runs once for each input. Runs in the child.

    Returns:
        What `Predicted` holds, for each manifest; nothing where the answer does not fit it.
    """
    answers: dict[str, Outputs] = {}
    predicted = []
    for document in manifests:
        manifest = Manifest.model_validate(document)
        other = type(opened)(opened.format, manifest, opened.backend, opened.signature)
        key = manifest.input.model_dump_json()
        try:
            if key not in answers:
                answers[key] = other.outputs(image)
            found = other.decode(answers[key], image.shape[0], image.shape[1])
        except WrongOutput:
            predicted.append(Predicted().model_dump())
            continue
        best = np.argsort(-found.scores, kind="stable")[:MOST_DETECTIONS]
        arrays: dict[str, Matrix] = {"boxes": found.boxes, "labels": found.labels, "scores": found.scores}
        predicted.append({name: values[best].tolist() for name, values in arrays.items()})
    return predicted
