from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codes import coded
from made_up_labels import found
from typer.testing import CliRunner

from wildbench.cli.review import app as review_app
from wildbench.curation.patch import apply, read_patch
from wildbench.curation.review import bring_back, collect, lay_out, name_of
from wildbench.curation.samples import GROUND_TRUTH, NamedPredictions, labels
from wildbench.datasets.coco import Dataset, read_coco, write_coco
from wildbench.datasets.predictions import Detections
from wildbench.datasets.registry import load_dataset
from wildbench.errors import CurationError

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def samples(data: Dataset) -> Any:
    """The small data set, laid out."""
    import fiftyone

    lay_out(data, [], look=False, fresh=True)
    return fiftyone.load_dataset(name_of(data))


def sample_of(samples: Any, image: int) -> Any:
    import fiftyone

    return samples.match(fiftyone.ViewField("image_id") == image).first()


def label_of(sample: Any, box: int) -> Any:
    return next(label for label in sample[GROUND_TRUTH].detections if label.annotation_id == box)


def edit(samples: Any) -> None:
    """Relabel box 1, move box 2, set an attribute of box 3, remove box 4, add one to the empty image."""
    import fiftyone

    first = sample_of(samples, 11)
    relabelled, moved = label_of(first, 1), label_of(first, 2)
    relabelled.label, relabelled["reason"] = "bird", "has feathers"
    moved.bounding_box = [0.5, 0.2, 0.25, 0.5]
    first.save()
    second = sample_of(samples, 12)
    label_of(second, 3)["truncated"] = True
    second[GROUND_TRUTH].detections = [label for label in second[GROUND_TRUTH].detections if label.annotation_id != 4]
    second.save()
    empty = sample_of(samples, 13)
    empty[GROUND_TRUTH].detections.append(fiftyone.Detection(label="zebra", bounding_box=[0.1, 0.1, 0.2, 1.0]))
    empty.save()


def labels_in(samples: Any) -> list[tuple[int, str, tuple[float, ...]]]:
    """Image, category and box in tenths of a pixel."""
    return sorted(
        (sample.image_id, label.label, tuple(np.multiply(label.bounding_box, sides).round(1)))
        for sample in samples
        for sides in [(sample.metadata.width, sample.metadata.height) * 2]
        for label in sample[GROUND_TRUTH].detections
    )


def test_what_nobody_edited_comes_back_as_an_empty_patch(samples: Any, data: Dataset) -> None:
    sample = sample_of(samples, 11)
    sample.save()  # as the App does, whatever was changed
    assert bring_back(data, author="A").changes == []


def test_parksim_comes_back_unedited() -> None:
    parksim = load_dataset("parksim", split="val", with_images=False)
    assert collect(labels(parksim), parksim, author="A").changes == []


def test_edits_make_a_patch_that_makes_the_same_labels(samples: Any, data: Dataset, tmp_path: Path) -> None:
    import fiftyone

    edit(samples)
    bring_back(data, author="A. Ranger", reason="looked again").write(tmp_path / "patch.json")
    patch = read_patch(tmp_path / "patch.json")
    assert [(c.annotation_id, c.old, c.new, c.reason) for c in patch.changes] == [
        (1, {"category": "lion"}, {"category": "bird"}, "has feathers"),
        (2, {"bbox": [200, 30, 33, 44]}, {"bbox": [166.5, 50.0, 83.25, 125.0]}, "looked again"),
        (3, {"truncated": False}, {"truncated": True}, "looked again"),
        (4, {"category": "bird", "bbox": [100, 100, 60, 60], "area": 3600, "iscrowd": 0}, None, "looked again"),
        (None, None, {"category": "zebra", "bbox": [33.3, 25.0, 66.6, 225.0]}, "looked again"),
    ]
    write_coco(apply(data, {"patch.json": patch}), tmp_path / "new.json")
    corrected = read_coco(tmp_path / "new.json", tmp_path)
    lay_out(corrected, [], look=False)
    assert bring_back(corrected, author="A").changes == []
    cut = [labels for labels in labels_in(samples) if labels[0] != 13]
    again = labels_in(fiftyone.load_dataset(name_of(corrected)))
    assert [labels for labels in again if labels[0] != 13] == cut
    untouched = {box["id"]: box for box in corrected.annotations}
    assert [untouched[number] for number in (5, 6)] == data.annotations[4:]
    assert untouched[1]["bbox"] == data.annotations[0]["bbox"]


def test_a_copy_of_a_box_is_a_new_box(samples: Any, data: Dataset) -> None:
    import fiftyone

    sample = sample_of(samples, 14)
    sample[GROUND_TRUTH].detections.append(
        fiftyone.Detection(label="lion", bounding_box=[0.5, 0.5, 0.1, 0.1], annotation_id=5)
    )
    sample.save()
    (change,) = bring_back(data, author="A", reason="two of them").changes
    assert (change.annotation_id, change.file_name) == (None, "14.jpg")


def test_edits_outlive_the_next_review_which_says_so_and_fresh_drops_them(samples: Any, data: Dataset) -> None:
    edit(samples)
    before = bring_back(data, author="A", reason="r")
    one = NamedPredictions("one", "one", Detections.from_coco([found(11, 1, [10, 20, 100, 90], 0.9)]))
    assert lay_out(data, [one], look=False).edited == 3
    assert bring_back(data, author="A", reason="r") == before
    assert lay_out(data, [one], look=False, fresh=True).edited == 0
    assert bring_back(data, author="A").changes == []


def test_a_reason_and_a_listed_category_are_asked_for(samples: Any, data: Dataset) -> None:
    edit(samples)
    with pytest.raises(CurationError, check=coded("curation/no-reason", text="11.jpg: box 2")):
        bring_back(data, author="A")
    sample = sample_of(samples, 14)
    label_of(sample, 5).label = "wolf"
    sample.save()
    with pytest.raises(CurationError, check=coded("curation/unknown-category", text="14.jpg: box 5")):
        bring_back(data, author="A", reason="r")


def test_what_was_never_reviewed_is_named(data: Dataset) -> None:
    other = Dataset("never", None, data.coco, data.images_dir)
    with pytest.raises(CurationError, check=coded("curation/not-reviewed")):
        bring_back(other, author="A")


def test_apply_without_edits_says_so_and_writes_nothing(
    data: Dataset, review_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WILDBENCH_CACHE", str(review_folder.parent))  # the command joins the tests' database
    reviewed = load_dataset(tmp_path / "set.json")
    lay_out(reviewed, [], look=False, fresh=True)
    options = ["--dataset", str(tmp_path / "set.json"), "--apply", "--author", "A", "-o", str(tmp_path / "p.json")]
    result = CliRunner().invoke(review_app, options)
    assert (result.exit_code, result.stdout) == (0, f"no changes to {reviewed.name}: no patch written\n")
    assert not (tmp_path / "p.json").exists()


def test_a_removed_box_is_recorded_whole(data: Dataset) -> None:
    remaining = labels(data) | {14: []}
    (change,) = collect(remaining, data, author="A", reason="r").changes
    assert change.new is None
    assert change.old == {
        "category": "lion", "bbox": [5, 5, 50, 50], "area": 2500, "iscrowd": 0,
        "segmentation": [[5, 5, 55, 5, 55, 55]],
    }  # fmt: skip
