"""A detector that nobody here wrote, on photographs that nobody rendered, by a manifest alone."""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import wildbench
from wildbench.scorecard import Scorecard

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "yolox_nano.manifest.json"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def truth(wildlife_real: Path) -> Path:
    """Several sources; each boxes some categories in its images, and those alone."""
    return wildlife_real / "annotations" / "val.json"


@pytest.fixture(scope="module")
def card_file(truth: Path, wildlife_real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scorecard of YOLOX-Nano as Megvii published it: 80 categories, of which a few are among these."""
    weights = Path(os.environ.get("WILDBENCH_YOLOX_NANO") or ROOT.parent / "shared" / "weights" / "yolox_nano.onnx")
    if not weights.is_file():
        pytest.skip(f"yolox_nano.onnx is not at {weights}: set WILDBENCH_YOLOX_NANO")
    submission = tmp_path_factory.mktemp("yolox") / "yolox_nano.onnx"
    submission.write_bytes(weights.read_bytes())
    submission.with_suffix(".manifest.json").write_bytes(EXAMPLE.read_bytes())
    out = submission.with_name("card.json")
    wildbench.evaluate(submission, dataset=truth, images=wildlife_real / "images", device="cpu", out=out)
    return out


@pytest.fixture(scope="module")
def card(card_file: Path) -> Scorecard:
    return wildbench.read_scorecard(card_file)


def judged(truth: Path, predictions: Path, category: str, keep: Callable[[Json], bool]) -> tuple[float, float]:
    """AP and AP50 of one category on some images, by pycocotools."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(truth)
        judge = COCOeval(coco, coco.loadRes(str(predictions)), "bbox")
        judge.params.catIds = coco.getCatIds(catNms=[category])
        judge.params.imgIds = [image["id"] for image in coco.dataset["images"] if keep(image)]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[0]), float(judge.stats[1])


@pytest.mark.parametrize(("category", "seen"), [("elephant", 0.77), ("zebra", 0.89)])
def test_yolox_nano_finds_elephants_and_zebras(
    card: Scorecard, card_file: Path, truth: Path, category: str, seen: float
) -> None:
    """So much was seen on the photographs of one source, at 416 pixels, before this harness was there."""
    predictions = card_file.with_name(card.accuracy.predictions_file)
    found = judged(truth, predictions, category, lambda image: image["source"] == "hamoye")
    assert found[1] == pytest.approx(seen, abs=0.01)


@pytest.mark.parametrize("category", ["person", "zebra", "elephant", "bird"])
def test_a_category_is_scored_on_the_images_that_list_it(
    card: Scorecard, card_file: Path, truth: Path, category: str
) -> None:
    predictions = card_file.with_name(card.accuracy.predictions_file)
    figures = card.accuracy.per_category[category]
    listed = judged(truth, predictions, category, lambda image: category in image["annotated_categories"])
    assert (figures.ap.value, figures.ap50.value) == listed
    assert listed != judged(truth, predictions, category, lambda _: True)


def test_a_category_that_it_does_not_know_takes_no_part(card: Scorecard) -> None:
    assert card.accuracy.per_category["gorilla"].ap.reason == "the detector does not know gorilla"


def test_it_spends_what_its_authors_publish(card: Scorecard) -> None:
    assert card.compute is not None
    assert card.compute.flops.value == pytest.approx(1.08e9, rel=0.05)  # their figure includes norms and activations


@pytest.mark.slow
@pytest.mark.parametrize("name", ["yolox_nano_float16.tflite", "yolox_nano_dynamic_int8.tflite"])
def test_its_versions_for_phones_find_as_much(
    card: Scorecard, truth: Path, wildlife_real: Path, shared_weights: Path, tmp_path: Path, name: str
) -> None:
    """By the same manifest; the file says how its input lies."""
    path = tmp_path / name
    path.write_bytes((shared_weights / name).read_bytes())
    path.with_suffix(".manifest.json").write_bytes(EXAMPLE.read_bytes())
    other = wildbench.evaluate(path, dataset=truth, images=wildlife_real / "images", device="cpu")
    assert card.accuracy.ap50.value == pytest.approx(0.84, abs=0.005)
    assert other.accuracy.ap50.value == pytest.approx(card.accuracy.ap50.value, abs=0.01)
    assert card.compute is not None
    assert other.compute is not None
    assert other.compute.macs.value == card.compute.macs.value
