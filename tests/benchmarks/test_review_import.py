"""Filling FiftyOne's database: how fast, and beside FiftyOne's own way."""

import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from wildbench.curation.named_predictions import NamedPredictions, read_named
from wildbench.curation.questions import Answers, answer
from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset
from wildbench.resources import bundled

pytestmark = [pytest.mark.timed, pytest.mark.usefixtures("database")]

COPIES = 6
RUNS = 3
SOME = 100


@pytest.fixture(scope="module")
def shipped() -> tuple[Dataset, NamedPredictions]:
    """parksim's test images six times (1,008), with the detections of the bundled reference."""
    data = load_dataset("parksim", with_images=False)
    (one,) = read_named([bundled("baselines/scorecards/reference.json")], data)
    images, boxes, results = [], [], []
    for copy in range(COPIES):
        images += [image | {"id": image["id"] + copy * 10**5} for image in data.images]
        boxes += [
            box | {"id": box["id"] + copy * 10**5, "image_id": box["image_id"] + copy * 10**5}
            for box in data.annotations
        ]
        results += [result | {"image_id": result["image_id"] + copy * 10**5} for result in one.results]
    many = Dataset("many", None, data.coco | {"images": images, "annotations": boxes}, data.images_dir)
    return many, NamedPredictions(one.name, one.field, results)


def fill(data: Dataset, detectors: list[NamedPredictions], answers: Answers) -> Any:
    import fiftyone

    from wildbench.curation.samples import add_samples

    samples = fiftyone.Dataset()
    add_samples(samples, data, detectors, answers, kept={})
    return samples


def processor_seconds(review_folder: Path) -> float:
    """What this process and the database have taken: other work on the machine does not count."""
    server = psutil.Process(int((review_folder / "mongo" / "mongod.lock").read_text())).cpu_times()
    return time.process_time() + float(server.user + server.system)


@pytest.mark.parametrize("shown", ["labels", "labels and detections"])
def test_an_image_takes_a_fraction_of_what_add_samples_takes(
    shown: str, shipped: tuple[Dataset, NamedPredictions], review_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import fiftyone

    data, one = shipped
    detectors = [one] if "detections" in shown else []
    answers = answer(data, detectors)
    rates, ours, theirs = [], [], []
    for _ in range(RUNS):
        start, before = time.perf_counter(), processor_seconds(review_folder)
        samples = fill(data, detectors, answers)
        rates.append(len(data.images) / (time.perf_counter() - start))
        ours.append((processor_seconds(review_folder) - before) * 1000 / len(data.images))
        copies = [sample.copy() for sample in samples.limit(SOME)]
        before = processor_seconds(review_folder)
        fiftyone.Dataset().add_samples(copies)
        theirs.append((processor_seconds(review_folder) - before) * 1000 / SOME)
    ratio = min(theirs) / min(ours)
    with capsys.disabled():
        sys.stdout.write(
            f" {shown}: {max(rates):,.0f} images/s, {min(ours):.2f} processor seconds a thousand; "
            f"add_samples takes {ratio:.1f} times as many "
        )
    assert ratio > 2


def test_all_detections_are_written_many_times_faster_than_by_add_samples(
    shipped: tuple[Dataset, NamedPredictions],
) -> None:
    import fiftyone

    data, one = shipped
    some = data.take(100)
    kept = {image["id"] for image in some.images}
    few = NamedPredictions(one.name, one.field, [result for result in one.results if result["image_id"] in kept])
    everything = Answers({}, {few.name: dict.fromkeys(range(len(few.results)), "")}, {}, {})
    theirs = fiftyone.Dataset()
    start = time.perf_counter()
    ours = fill(some, [few], everything)
    middle = time.perf_counter()
    theirs.add_samples([sample.copy() for sample in ours.limit(10)])
    assert (time.perf_counter() - middle) * 10 / (middle - start) > 3
