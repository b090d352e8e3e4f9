import cv2
import numpy as np
import pytest
import scipy.fft
from made_up_photographs import photograph

from wildbench.datasets.duplicates._likeness import (
    Floats,
    align,
    find_keypoints,
    likenesses,
    mirrored,
    thumbnail,
    windows,
)

PIXELS = photograph(0)
SMALL = [thumbnail(photograph(seed)) for seed in range(6)]


def low_frequencies(window: Floats) -> Floats:
    """The same by scipy's cosine transform."""
    spectrum = scipy.fft.dctn(window, type=2)[:8, :8] / np.prod(window.shape)
    radius = np.hypot(*np.mgrid[:8, :8])
    used = (radius > 0) & (radius < 8)
    found = spectrum[used] * np.sqrt(radius[used])
    return np.asarray(found / np.linalg.norm(found))


def test_a_window_is_described_by_its_cosine_transform() -> None:
    found = windows(SMALL[0])
    assert np.linalg.norm(found[0]) == pytest.approx(1, abs=0.1)
    assert found[0] @ low_frequencies(SMALL[0]) / np.linalg.norm(found[0]) == pytest.approx(1, abs=1e-5)
    corner = low_frequencies(SMALL[0][:64, :64])  # half of each side: among the smallest windows
    assert (found @ corner / np.linalg.norm(found, axis=1)).max() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_all_eight_orientations_look_alike(turns: int, mirror: bool) -> None:
    turned = np.rot90(SMALL[0], turns)[:, :: -1 if mirror else 1]
    (first, *_) = likenesses([SMALL[0], turned, *SMALL[1:]], range(7), 1, 0.5)
    assert [(one.a, one.b) for one in first] == [(0, 1)]
    assert first[0].score == pytest.approx(np.linalg.norm(windows(SMALL[0])[0]) ** 2, abs=1e-4)


def test_a_crop_looks_like_a_window_of_the_whole() -> None:
    whole = photograph(0)
    crop = thumbnail(whole[30:200, 60:300])
    (first, *_) = likenesses([SMALL[0], *SMALL[1:], crop], range(7), 1, 0.5)
    assert first[0].b == 6
    assert first[0].score > 0.8 > float(windows(crop)[0] @ windows(SMALL[0])[0])


def test_images_of_one_part_are_not_compared_and_blank_ones_look_like_nothing() -> None:
    blank = [np.full((128, 128), level, np.float32) for level in (40.0, 200.0)]
    rows = list(likenesses([SMALL[0], SMALL[0], *blank], [0, 0, 1, 2], 3, 0.0))
    assert all({one.a, one.b} != {0, 1} for row in rows for one in row)
    assert all(abs(one.score) < 0.01 for row in rows for one in row)
    assert list(likenesses([], [], 3, 0.0)) == []


def test_squeezing_changes_nothing() -> None:
    squeezed = cv2.resize(photograph(0), (200, 200), interpolation=cv2.INTER_AREA)
    ((one, *_), *_) = likenesses([thumbnail(np.asarray(squeezed, np.uint8)), *SMALL], range(7), 3, 0.9)
    assert one.b == 1


def test_mirrored_keypoints_are_those_of_the_mirror_image() -> None:
    found, expected = mirrored(find_keypoints(PIXELS)), find_keypoints(np.ascontiguousarray(PIXELS[:, ::-1]))
    assert (found.grey == expected.grey).all()
    apart = np.linalg.norm(found.points[:, None] - expected.points[None], axis=2)
    near = apart.min(axis=1) < 1
    cosines = (found.descriptors @ expected.descriptors.T)[near]
    same_place = np.where(apart[near] < 1, cosines, -1).max(axis=1)  # some places have keypoints of two directions
    assert near.mean() > 0.8
    assert np.median(same_place) > 0.97
    assert np.median((find_keypoints(PIXELS).descriptors @ expected.descriptors.T).max(axis=1)) < 0.9


def test_descriptors_are_of_unit_length() -> None:
    assert np.linalg.norm(find_keypoints(PIXELS).descriptors, axis=1) == pytest.approx(1, abs=1e-3)


def test_an_image_lies_on_itself_and_on_its_crop() -> None:
    whole = find_keypoints(PIXELS)
    itself = align(whole, whole)
    assert itself is not None
    assert itself.correlation == pytest.approx(1, abs=0.02)
    assert itself.matches > 100
    crop = align(whole, find_keypoints(np.ascontiguousarray(PIXELS[20:180, 100:300])))
    assert crop is not None
    assert crop.correlation > 0.8


def test_a_caption_does_not_outweigh_the_picture() -> None:
    marked = PIXELS.copy()
    marked[-24:] = np.where(np.arange(320)[:, None] % 8 < 4, 0, 255)
    alignment = align(find_keypoints(PIXELS), find_keypoints(marked))
    assert alignment is not None
    assert alignment.correlation > 0.75


@pytest.mark.parametrize("other", [photograph(1), np.full((240, 320, 3), 90, np.uint8)])
def test_different_images_do_not_align(other: np.ndarray) -> None:
    alignment = align(find_keypoints(PIXELS), find_keypoints(other))
    assert alignment is None or (alignment.matches < 12 and alignment.correlation < 0.5)
