import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from wildbench.submissions.input import InputContract
from wildbench.submissions.preprocess._resampling import PILLOW, resize

SIZES = [
    ((480, 640), (320, 320)),
    ((270, 480), (64, 640)),
    ((100, 80), (333, 256)),
    ((1, 1), (5, 5)),
    ((7, 900), (3, 80)),
    ((333, 500), (333, 640)),  # only across
    ((500, 333), (640, 333)),  # only down
    ((600, 601), (599, 600)),
]


def picture(size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(size).integers(0, 256, (*size, 3), dtype=np.uint8)


def contract(**keys: object) -> InputContract:
    return InputContract.model_validate({"resize": "stretch", **keys})


def torchs(image: np.ndarray, size: tuple[int, int], mode: str, *, antialias: bool) -> np.ndarray:
    """`torch.nn.functional.interpolate`, which torchvision's `resize` calls, in the dtype of the image."""
    batch = torch.from_numpy(image).permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(batch, size, mode=mode, align_corners=False, antialias=antialias)
    return resized[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("size", "new"), SIZES)
@pytest.mark.parametrize("name", PILLOW)
def test_pillows_resize_is_pillows(size: tuple[int, int], new: tuple[int, int], name: str) -> None:
    image = picture(size)
    method = Image.Resampling[PILLOW[name]]
    expected = np.asarray(Image.fromarray(image).resize(new[::-1], method))
    np.testing.assert_array_equal(resize(image, new, contract(antialias="pillow", interpolation=name)), expected)


@pytest.mark.parametrize(("size", "new"), SIZES)
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_torchs_resize_of_grey_levels_is_torchs_to_the_last_bit(
    size: tuple[int, int], new: tuple[int, int], mode: str
) -> None:
    image = picture(size)
    found = resize(image, new, contract(antialias="torch", interpolation=mode))
    np.testing.assert_array_equal(found, torchs(image, new, mode, antialias=True))


def test_pillow_and_torch_differ_by_a_grey_level_here_and_there() -> None:
    image = picture((480, 640))
    pillows, found = (resize(image, (300, 300), contract(antialias=name)).astype(int) for name in ("pillow", "torch"))
    assert np.abs(pillows - found).max() == 1
    assert (pillows != found).mean() < 0.01


@pytest.mark.parametrize(("size", "new"), SIZES)
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("antialias", "averages"), [("torch", True), ("pillow", True), ("none", False)])
def test_a_resize_in_floats_is_torchs_within_a_fiftieth_of_a_grey_level(
    size: tuple[int, int], new: tuple[int, int], mode: str, antialias: str, averages: bool
) -> None:
    image = picture(size)
    found = resize(image, new, contract(antialias=antialias, interpolation=mode, resize_dtype="float32"))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, torchs(image.astype(np.float32), new, mode, antialias=averages), atol=0.02)


def test_opencvs_resize_is_opencvs() -> None:
    image = picture((48, 64))
    for dtype in ("uint8", "float32"):
        found = resize(image, (30, 20), contract(interpolation="bicubic", resize_dtype=dtype))
        expected = cv2.resize(image.astype(dtype), (20, 30), interpolation=cv2.INTER_CUBIC)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("antialias", ["none", "pillow", "torch"])
def test_an_image_of_the_right_size_stays_as_it_is(antialias: str) -> None:
    image = picture((48, 64))
    np.testing.assert_array_equal(resize(image, (48, 64), contract(antialias=antialias)), image)


def test_torchs_resize_needs_no_torch() -> None:
    program = """
import sys
import numpy as np
from wildbench.submissions.input import InputContract
from wildbench.submissions.preprocess._resampling import resize
for antialias in ("pillow", "torch"):
    resize(np.zeros((9, 9, 3), np.uint8), (4, 4), InputContract(resize="stretch", antialias=antialias))
sys.exit("torch" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
