import numpy as np
import pytest

from wildbench.errors import WrongOutput
from wildbench.submissions.process._detections import MOST_DETECTIONS, Detections, check_detections


def detections(**changes: np.ndarray | None) -> Detections:
    good = {
        "boxes": np.array([[0, 0, 40, 30], [5, 5, 5, 5]], np.float32),
        "labels": np.array([1, 13]),
        "scores": np.array([1, 0], np.float32),
        "masks": np.ones((2, 30, 40), np.uint8),
    }
    return Detections(**(good | changes))  # type: ignore[arg-type]


def boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_detections_up_to_the_edges_are_accepted() -> None:
    check_detections(detections(), 13, 30, 40)
    check_detections(detections(masks=None), 13, 30, 40)


def test_no_detections_are_accepted() -> None:
    empty = Detections(np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, np.float32))
    check_detections(empty, 13, 30, 40)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"boxes": boxes([0, 0, 1, 1], [0, 0, 1, np.nan])}, r"boxes\[1\] = \[0.0, 0.0, 1.0, nan\] is not finite"),
        ({"boxes": boxes([0, 0, 1, 1], [0, 0, 1, np.inf])}, r"boxes\[1\] .* is not finite"),
        ({"scores": np.array([np.nan, 0], np.float32)}, r"scores\[0\] = nan is not finite"),
        ({"boxes": boxes([9, 0, 8, 1], [0, 0, 1, 1])}, r"boxes\[0\] .* has x2 < x1 or y2 < y1"),
        ({"boxes": boxes([0, 9, 1, 8], [0, 0, 1, 1])}, r"boxes\[0\] .* has x2 < x1 or y2 < y1"),
        ({"boxes": boxes([0, 0, 1, 1], [0, 0, 41, 1])}, r"boxes\[1\] .* outside the image of 40 x 30"),
        ({"boxes": boxes([0, 0, 1, 1], [0, 0, 1, 31])}, r"boxes\[1\] .* outside the image of 40 x 30"),
        ({"boxes": boxes([-1, 0, 1, 1], [0, 0, 1, 1])}, r"boxes\[0\] .* outside the image of 40 x 30"),
        ({"labels": np.array([0, 1])}, r"labels\[0\] = 0 is none of 1\.\.13"),
        ({"labels": np.array([1, 14])}, r"labels\[1\] = 14 is none of 1\.\.13"),
        ({"scores": np.array([0.5, 1.5], np.float32)}, r"scores\[1\] = 1.5 is outside 0\.\.1"),
        ({"scores": np.array([-0.5, 1], np.float32)}, r"scores\[0\] = -0.5 is outside 0\.\.1"),
        ({"boxes": boxes([0, 0, 1, 1])}, r"boxes is float32 \[1, 4\], not float32 \[2, 4\]"),
        ({"boxes": np.zeros((2, 4))}, "boxes is float64"),
        ({"labels": np.array([1, 2], np.int32)}, "labels is int32"),
        ({"labels": np.array([[1], [2]])}, r"labels is int64 \[2, 1\]"),
        ({"masks": np.ones((2, 40, 30), np.uint8)}, r"masks is uint8 \[2, 40, 30\], not uint8 \[2, 30, 40\]"),
        ({"scores": np.array(1, np.float32)}, "boxes is"),
    ],
)
def test_each_rule_names_its_violation(change: dict[str, np.ndarray], problem: str) -> None:
    with pytest.raises(WrongOutput, match=problem):
        check_detections(detections(**change), 13, 30, 40)


def test_a_flood_of_detections_is_refused() -> None:
    count = MOST_DETECTIONS + 1
    flood = Detections(np.zeros((count, 4), np.float32), np.ones(count, np.int64), np.zeros(count, np.float32))
    with pytest.raises(WrongOutput, match=f"{count} detections in one image"):
        check_detections(flood, 13, 30, 40)
