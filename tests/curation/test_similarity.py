from pathlib import Path

import cv2
import fiftyone
import numpy as np
import pytest
import torch
from made_up_photographs import photograph, save

from wildbench.curation.review import lay_out
from wildbench.curation.similarity import ALIKE, MAP, SIDE, features_of, near_duplicates
from wildbench.curation.views import DUPLICATES
from wildbench.datasets.coco import Dataset, read_coco, write_coco
from wildbench.resources import bundled
from wildbench.submissions.process._opened import open_submission

pytestmark = pytest.mark.usefixtures("database", "cache")

COPY, SMALLER = 4, 5
"""Places of what was made from images 0 and 2."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILDBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def photographs(tmp_path: Path) -> Dataset:
    """Four photographs, the first again, the third again at half its size; no boxes."""
    originals = [photograph(seed) for seed in range(4)]
    smaller = cv2.resize(originals[2], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    images = []
    for number, pixels in enumerate([*originals, originals[0], smaller], start=1):
        path = save(pixels, tmp_path / f"{number}.jpg")
        height, width = pixels.shape[:2]
        images.append({"id": number, "file_name": path.name, "width": width, "height": height})
    coco = {"images": images, "categories": [{"id": 1, "name": "lion"}], "annotations": []}
    write_coco(coco, tmp_path / "set.json")
    return read_coco(tmp_path / "set.json", tmp_path)


def test_copies_stand_side_by_side_in_the_view_and_first_in_the_order_by_likeness(photographs: Dataset) -> None:
    review = lay_out(photographs, [])
    assert review.views == {DUPLICATES: 4}
    samples = fiftyone.load_dataset(review.name)
    view = samples.load_saved_view(DUPLICATES)
    assert [view.values("group"), view.values("image_id")] == [[1, 1, 2, 2], [1, COPY + 1, 3, SMALLER + 1]]
    for place, copy in ((0, COPY), (2, SMALLER)):
        number = samples.skip(place).first().id
        assert samples.sort_by_similarity(number, brain_key=ALIKE, k=2).values("image_id") == [place + 1, copy + 1]
    points = samples.load_brain_results(MAP).points
    assert points.shape == (6, 2)
    far = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert [int(np.argsort(far[place])[1]) for place in (0, 2)] == [COPY, SMALLER]


def test_features_are_what_the_bundled_detectors_body_gives_within_its_own_pipeline(photographs: Dataset) -> None:
    model = open_submission(bundled("baselines/reference.pt")).module
    assert isinstance(model, torch.nn.Module)
    model.transform.min_size, model.transform.max_size = (SIDE,), SIDE
    levels: list[dict[str, torch.Tensor]] = []
    model.get_submodule("backbone.body").register_forward_hook(lambda _, given, answer: levels.append(answer))
    pixels = cv2.imread(str(photographs.image_path(photographs.images[1])), cv2.IMREAD_COLOR_RGB)
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    with torch.inference_mode():
        model([torch.from_numpy(small).permute(2, 0, 1) / 255])
    expected = list(levels[0].values())[-1].mean(dim=(0, 2, 3))
    assert len(expected) > 100
    np.testing.assert_allclose(features_of(photographs)[1], expected.numpy(), atol=1e-5)


def test_what_was_found_is_kept_until_an_image_changes(photographs: Dataset) -> None:
    tasks: list[str] = []

    def look() -> set[str]:
        tasks.clear()
        near_duplicates(photographs, lambda task, *_: tasks.append(task))
        features_of(photographs, lambda task, *_: tasks.append(task))
        return set(tasks)

    assert look()
    assert look() == set()
    save(photograph(9), photographs.image_path(photographs.images[COPY]))
    assert look()
    assert near_duplicates(photographs) == [[2, SMALLER]]
