import cv2
import numpy as np
import pytest
from made_up_photographs import photograph

from wildbench.datasets.duplicates._keypoints import Keypoints, align, find_keypoints
from wildbench.datasets.images import Pixels


def keypoints(pixels: Pixels) -> Keypoints:
    return find_keypoints(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)))


PIXELS = photograph(0)
WHOLE = keypoints(PIXELS)


def test_mirrored_keypoints_are_those_of_the_mirror_image() -> None:
    found, expected = WHOLE.mirrored, keypoints(np.ascontiguousarray(PIXELS[:, ::-1]))
    assert (found.grey == expected.grey).all()
    assert (found.mirrored.grey == WHOLE.grey).all()
    apart = np.linalg.norm(found.points[:, None] - expected.points[None], axis=2)
    near = apart.min(axis=1) < 1
    cosines = (found.roots @ expected.roots.T)[near]
    same_place = np.where(apart[near] < 1, cosines, -1).max(axis=1)  # some places have keypoints of two directions
    assert near.mean() > 0.8
    assert np.median(same_place) > 0.97
    assert np.median((WHOLE.roots @ expected.roots.T).max(axis=1)) < 0.9


def test_descriptors_are_of_unit_length() -> None:
    assert np.linalg.norm(WHOLE.roots, axis=1) == pytest.approx(1, abs=1e-3)


def test_an_image_lies_on_itself_and_on_its_crop() -> None:
    itself = align(WHOLE, WHOLE)
    assert itself is not None
    assert itself.correlation == pytest.approx(1, abs=0.02)
    assert itself.matches > 100
    crop = align(WHOLE, keypoints(np.ascontiguousarray(PIXELS[20:180, 100:300])))
    assert crop is not None
    assert crop.correlation > 0.8


def test_a_caption_does_not_outweigh_the_picture() -> None:
    marked = PIXELS.copy()
    marked[-24:] = np.where(np.arange(320)[:, None] % 8 < 4, 0, 255)
    alignment = align(WHOLE, keypoints(marked))
    assert alignment is not None
    assert alignment.correlation > 0.75


@pytest.mark.parametrize("other", [photograph(1), np.full((240, 320, 3), 90, np.uint8)])
def test_different_images_do_not_align(other: np.ndarray) -> None:
    alignment = align(WHOLE, keypoints(other))
    assert alignment is None or (alignment.matches < 12 and alignment.correlation < 0.5)
