"""FiftyOne's own evaluation beside ours, on the documents that wildbench writes."""

from typing import Any

import fiftyone
import pytest
from made_up_labels import found

from wildbench.curation.fields import GROUND_TRUTH
from wildbench.curation.named_predictions import NamedPredictions, read_named
from wildbench.curation.questions import Answers
from wildbench.curation.samples import add_samples
from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset
from wildbench.measures.accuracy._accuracy import measure_accuracy
from wildbench.resources import bundled

pytestmark = pytest.mark.usefixtures("database")


def evaluate(data: Dataset, one: NamedPredictions, **options: Any) -> Any:
    """FiftyOne's COCO evaluation of all detections, faint ones too."""
    everything = Answers({}, {one.name: dict.fromkeys(range(len(one.results)), "")}, {}, {})
    samples = fiftyone.Dataset()
    add_samples(samples, data, [one], everything, kept={})
    return samples.evaluate_detections(
        one.field, gt_field=GROUND_TRUTH, method="coco", compute_mAP=True, classes=data.category_names, **options
    )


def agree(data: Dataset, one: NamedPredictions) -> None:
    ours = measure_accuracy(data, one.results, predictions_file="p.json", predictions_sha256="")
    theirs = evaluate(data, one, iscrowd="iscrowd")
    assert theirs.mAP() == pytest.approx(ours.ap.value, abs=1e-12)
    for name, figures in ours.per_category.items():
        if figures.ap.value is not None:
            assert theirs.mAP(classes=[name]) == pytest.approx(figures.ap.value, abs=1e-12)


def reference(limit: int | None) -> tuple[Dataset, NamedPredictions]:
    whole = load_dataset("parksim", with_images=False)
    (one,) = read_named([bundled("baselines/scorecards/reference.json")], whole)
    data = whole.take(limit)
    kept = {image["id"] for image in data.images}
    results = [result for result in one.results if result["image_id"] in kept]
    return data, NamedPredictions(one.name, one.field, results)


def test_map_is_fiftyones_on_part_of_parksim() -> None:
    agree(*reference(12))


@pytest.mark.slow
def test_map_is_fiftyones_on_parksim() -> None:
    agree(*reference(None))


def test_where_labels_are_partial_fiftyone_counts_what_we_leave_out(data: Dataset) -> None:
    unlisted = found(14, 2, [200, 200, 20, 20], 0.95)
    results = [found(11, 2, [200, 30, 33, 44], 0.8), found(12, 2, [50.33, 60.77, 20, 20], 0.7), unlisted]
    ours = measure_accuracy(data, results, predictions_file="p.json", predictions_sha256="")
    theirs = evaluate(data, NamedPredictions("one", "one", results), iscrowd="iscrowd")
    assert ours.per_category["zebra"].ap.value == 1.0
    assert theirs.mAP(classes=["zebra"]) == pytest.approx(2 / 3)


def test_a_document_of_ours_is_one_of_fiftyones(data: Dataset) -> None:
    one = NamedPredictions("one", "one", [found(11, 1, [10, 20, 100, 90], 0.5)])
    ours, theirs = fiftyone.Dataset(), fiftyone.Dataset()
    add_samples(ours, data, [one], Answers({}, {"one": {0: "correct"}}, {}, {}), kept={})
    theirs.add_samples([sample.copy() for sample in ours])
    for mine, copied in zip(ours, theirs, strict=True):
        left, right = (
            {key: value for key, value in sample.to_dict().items() if value is not None} for sample in (mine, copied)
        )
        assert right.keys() <= left.keys()
        assert (left["filepath"], left["tags"], left["metadata"]) == (
            right["filepath"],
            right["tags"],
            right["metadata"],
        )
    assert theirs.get_field_schema(flat=True).keys() <= ours.get_field_schema(flat=True).keys()
    assert ours.media_type == theirs.media_type == "image"
