import json
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as reference

from wildbench.datasets.masks import decode_mask, encode_mask, mask_problem


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
def test_encode_equals_pycocotools_and_comes_back(density: float) -> None:
    mask = (np.random.default_rng(0).random((37, 53)) < density).astype(np.uint8)
    expected = reference.encode(np.asfortranarray(mask))
    encoded = json.loads(json.dumps(encode_mask(mask)))
    assert encoded == {"size": [37, 53], "counts": expected["counts"].decode()}
    assert (decode_mask(encoded, 37, 53) == mask).all()


@pytest.mark.parametrize("polygons", [[[1.0, 1, 30, 2, 20, 25.5]], [[1, 1, 9, 1, 9, 9], [20, 20, 33.3, 20, 25, 31]]])
def test_polygons_fill_as_in_pycocotools(polygons: list[list[float]]) -> None:
    expected = reference.decode(reference.merge(reference.frPyObjects(polygons, 40, 50)))
    assert (decode_mask(polygons, 40, 50) == expected).all()


def test_uncompressed_counts_run_down_the_columns() -> None:
    assert decode_mask({"size": [2, 3], "counts": [1, 2, 3]}, 2, 3).tolist() == [[0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    "sound",
    [
        [[0, 0, 4, 0, 4, 4]],
        {"size": [8, 9], "counts": [70, 2]},
        encode_mask(np.ones((8, 9), np.uint8)),
    ],
)
def test_sound_masks_have_no_problem(sound: Any) -> None:
    assert mask_problem(sound, 8, 9) is None


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ("a mask", "neither"),
        ([1, 2, 3], "neither"),
        ([[0, 0, 4, 4]], "three points"),
        ([[0, 0, 4, 4, 5, 5, 6]], "three points"),
        ([[0, 0, 4, 4, 5, float("nan")]], "finite"),
        ([[0, 0, 4, 4, 5, "6"]], "finite"),
        ({"size": [9, 8], "counts": [70, 2]}, "[9, 8]"),
        ({"size": [8, 9], "counts": [70, 1]}, "sum to 71"),
        ({"size": [8, 9], "counts": [73, -1]}, "not pixel counts"),
        ({"size": [8, 9]}, "without counts"),
        ({"size": [8, 9], "counts": "!!"}, "RLE"),
        ({"size": [8, 9], "counts": encode_mask(np.ones((80, 90), np.uint8))["counts"]}, "exceed"),
    ],
)
def test_broken_masks_are_described(broken: Any, problem: str) -> None:
    assert problem in (mask_problem(broken, 8, 9) or "")
