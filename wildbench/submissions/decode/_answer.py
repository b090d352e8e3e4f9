"""A network's outputs, read part by part as matrices with a row for each candidate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wildbench.errors import WrongOutput
from wildbench.submissions.output import DescribedOutput, Part, Reference

Outputs = dict[str, npt.NDArray[Any]]
"""A network's output arrays by name, in the order in which it gives them."""

COMPARE = "compare the manifest's output, categories and size"


@dataclass(frozen=True)
class Answer:
    """A network's outputs, and the description by which they are read."""

    contract: DescribedOutput
    outputs: Outputs

    def array(self, reference: Reference) -> npt.NDArray[Any]:
        """An output by its name or position."""
        names = list(self.outputs)
        name = names[reference] if isinstance(reference, int) and reference < len(names) else reference
        if isinstance(name, int) or name not in self.outputs:
            raise WrongOutput(f"there is no output {name!r}", code="outputs", remedy=COMPARE)
        return self.outputs[name]

    def column(self, part: Part, name: str, total: int) -> npt.NDArray[Any]:
        """A part of one column, as a vector."""
        return self.matrix(part, name, 1, total)[:, 0]

    def matrix(self, part: Part, name: str, width: int | None, total: int | None = None) -> npt.NDArray[Any]:
        """A part as a matrix with a row for each of `total` candidates; None stands for any length."""
        read = self._vector if part.columns is None and width == 1 else self._matrix
        pieces = [read(self.array(reference), part, name) for reference in part.references]
        if len({piece.shape[1] for piece in pieces}) > 1:
            raise WrongOutput(f"{name} differ in columns from level to level", code="shape", remedy=COMPARE)
        matrix = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        if part.columns is not None:
            first, end = part.columns
            if max(first + 1, end or 0) > matrix.shape[1]:
                problem = f"{name} is {list(matrix.shape)}, without columns {list(part.columns)}"
                raise WrongOutput(problem, code="shape", remedy=COMPARE)
            matrix = matrix[:, first:end]
        return shaped(matrix, (len(matrix) if total is None else total, width or matrix.shape[1]), name)

    def _vector(self, values: npt.NDArray[Any], part: Part, name: str) -> npt.NDArray[Any]:
        values = values[0] if values.ndim > 1 and len(values) == 1 else values
        return values.reshape(values.size, 1)

    def _matrix(self, values: npt.NDArray[Any], part: Part, name: str) -> npt.NDArray[Any]:
        shape = values.shape
        values = values[0] if values.ndim > 2 and len(values) == 1 else values
        if part.candidates == "columns" and values.ndim > 1:
            values = self._turned(values)
        elif self.contract.levels is not None and values.ndim > 1:
            values = values.reshape(math.prod(values.shape[:-1]), values.shape[-1])
        while values.ndim > 2 and 1 in values.shape[:-1]:
            values = values.squeeze(values.shape.index(1))
        if values.ndim != 2:
            raise WrongOutput(f"{name} is {list(shape)}, not a batch of one matrix", code="shape", remedy=COMPARE)
        return values

    def _turned(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The candidates of [K, N], or of the feature map [K, H, W] or [A x K, H, W], as rows."""
        if values.ndim == 2:
            return values.T
        levels = self.contract.levels
        anchors = len(levels.anchors[0]) if levels and levels.anchors else 1
        columns, cells = math.prod(values.shape[:-2]), math.prod(values.shape[-2:])
        if columns % anchors:
            return values
        turned = values.reshape(anchors, columns // anchors, cells).transpose(0, 2, 1)
        return turned.reshape(anchors * cells, columns // anchors) if anchors > 1 else turned[0]


@contextmanager
def naming(outputs: Outputs) -> Iterator[None]:
    """Let a WrongOutput end with what the outputs are."""
    try:
        yield
    except WrongOutput as error:
        remedy = f"{error.remedy}; the outputs are {summary(outputs)}".removeprefix("; ")
        raise WrongOutput(error.what, code=error.code.rpartition("/")[2], remedy=remedy) from None


def summary(outputs: Outputs) -> str:
    """The outputs as they are, in one line.

    Example:
        >>> summary({"boxes": np.zeros((1, 5, 4), np.float32), "count": np.zeros(1, np.int32)})
        'boxes float32 [1, 5, 4], count int32 [1]'
    """
    return ", ".join(f"{name} {values.dtype} {list(values.shape)}" for name, values in outputs.items()) or "none"


def shaped(values: npt.NDArray[Any], shape: tuple[int, ...], name: str) -> npt.NDArray[Any]:
    """The array; a WrongOutput where its shape is another."""
    if values.shape != shape:
        raise WrongOutput(f"{name} is {list(values.shape)}, not {list(shape)}", code="shape", remedy=COMPARE)
    return values


def finite(values: npt.NDArray[Any], name: str) -> npt.NDArray[np.float32]:
    """The array as float32; a WrongOutput where a value is NaN or infinite."""
    numbers = values.astype(np.float32, copy=False)
    if not np.isfinite(numbers).all():
        raise WrongOutput(f"{name} has {'NaN' if np.isnan(numbers).any() else 'infinite'} values", code="not-finite")
    return numbers
