"""Detections made in Python: a loop of one's own, a function, a torch module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wildbench
from wildbench.datasets.registry import load_dataset
from wildbench.errors import PredictionsError, SubmissionError
from wildbench.resources import bundled

REFERENCE = bundled("baselines/scorecards/reference.json")
PREDICTIONS = REFERENCE.with_name("reference.predictions.json")


def pixels_of(data: wildbench.Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> wildbench.Dataset:
    """The data set with black images of the right size."""
    from dataclasses import replace

    import cv2

    for image in data.images:
        cv2.imwrite(str(tmp_path / image["file_name"]), np.zeros((image["height"], image["width"], 3), np.uint8))
    return replace(data, images_dir=tmp_path)


@pytest.fixture
def parksim() -> wildbench.Dataset:
    return load_dataset("parksim", with_images=False, limit=6)


@pytest.fixture
def with_pixels(parksim: wildbench.Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> wildbench.Dataset:
    return pixels_of(parksim, monkeypatch, tmp_path)


def test_a_loop_gives_what_scoring_the_file_gives() -> None:
    whole = load_dataset("parksim", with_images=False)
    kept = wildbench.score(PREDICTIONS, dataset=whole)
    from wildbench.datasets.predictions import read_predictions

    detections = read_predictions(PREDICTIONS, whole)
    evaluator = wildbench.Evaluator(whole)
    for image in whole.images:
        own = detections.of_image(image["id"])
        evaluator.update(image["id"], own.xyxy, own.scores, own.category_ids)
    card = evaluator.compute(name="reference")
    assert card.figures()["accuracy.ap"] == kept.figures()["accuracy.ap"]
    assert card.accuracy.predictions_sha256 == kept.accuracy.predictions_sha256
    assert card.errors is not None
    assert card.notes == kept.notes


def test_labels_are_ids_names_or_places_among_given_categories(parksim: wildbench.Dataset) -> None:
    image, label = parksim.images[0]["id"], int(parksim.labels.category_ids[0])
    name = {entry["id"]: entry["name"] for entry in parksim.categories}[label]
    box = parksim.labels.of_image(image).xyxy[:1]
    for categories, given in ((None, [label]), (None, [name]), (["unicorn", name], np.array([2]))):
        card = wildbench.Evaluator(parksim, categories=categories).update(image, box, [0.5], given).compute()
        assert card.accuracy.per_category[name].ap50.value is not None
        assert card.accuracy.per_category[name].ap50.value > 0
        assert card.accuracy.detections == 1
    dropped = wildbench.Evaluator(parksim, categories=["unicorn", name]).update(image, box, [0.5], [1]).compute()
    assert dropped.accuracy.detections == 0


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ((10**9, [], [], []), "unknown-image"),
        ((None, [[0, 0, 1, 1]], [0.5], [99]), "unknown-label"),
        ((None, [[0, 0, 1, 1]], [1.5], [1]), "score-range"),
        ((None, [[5, 0, 1, 1]], [0.5], [1]), "box-negative-side"),
        ((None, [[0, 0, 1, np.nan]], [0.5], [1]), "box-not-finite"),
        ((None, [[0, 0, 1, 1]], [0.5, 0.4], [1]), "columns-differ"),
    ],
)
def test_what_cannot_be_scored_is_refused(parksim: wildbench.Dataset, call: tuple[Any, ...], code: str) -> None:
    image, *rest = call
    with pytest.raises(PredictionsError) as error:
        wildbench.Evaluator(parksim).update(parksim.images[0]["id"] if image is None else image, *rest)
    assert error.value.code == f"predictions/{code}"


def test_an_image_is_added_once_and_missing_ones_are_noted(parksim: wildbench.Dataset) -> None:
    evaluator = wildbench.Evaluator(parksim).update(parksim.images[0]["id"], [], [], [])
    with pytest.raises(PredictionsError) as error:
        evaluator.update(parksim.images[0]["id"], [], [], [])
    assert error.value.code == "predictions/image-twice"
    assert any("images-not-added: 5 of 6" in note for note in evaluator.compute().notes)


def test_categories_that_share_none_with_the_data_set_are_refused(parksim: wildbench.Dataset) -> None:
    with pytest.raises(SubmissionError) as error:
        wildbench.Evaluator(parksim, categories=["car"])
    assert error.value.code == "submission/no-common-category"


def test_a_function_sees_every_image_and_is_scored(with_pixels: wildbench.Dataset) -> None:
    labels = iter([with_pixels.labels.of_image(image["id"]) for image in with_pixels.images])

    def perfect(image: np.ndarray) -> dict[str, Any]:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        own = next(labels)
        return {"boxes": own.xyxy, "labels": own.category_ids, "scores": np.full(len(own), 0.9, np.float32)}

    card = wildbench.evaluate(perfect, dataset=with_pixels)
    assert card.accuracy.ap.value == 1.0
    assert card.submission.name == "perfect"
    assert (card.size, card.compute, card.latency) == (None, None, None)


def test_an_answer_of_another_form_is_refused(with_pixels: wildbench.Dataset) -> None:
    with pytest.raises(PredictionsError) as error:
        wildbench.evaluate(lambda image: 7, dataset=with_pixels)
    assert error.value.code == "predictions/answer-form"


def test_a_torchvision_module_is_fed_and_read_as_torchvision_does(with_pixels: wildbench.Dataset) -> None:
    import torch
    from torch import nn

    class Fixed(nn.Module):
        def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
            assert not self.training
            assert images[0].shape[0] == 3
            assert images[0].dtype == torch.float32
            height, width = images[0].shape[1:]
            return [
                {
                    "boxes": torch.tensor([[0.0, 0.0, width, height]]),
                    "labels": torch.tensor([2]),
                    "scores": torch.tensor([0.25]),
                }
            ]

    card = wildbench.evaluate(Fixed(), dataset=with_pixels, categories=with_pixels.category_names)
    assert card.accuracy.detections == len(with_pixels.images)
    assert card.submission.name == "Fixed"


def test_nothing_is_written_unless_out_says_so(
    parksim: wildbench.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluator = wildbench.Evaluator(parksim)
    evaluator.compute()
    wildbench.score(PREDICTIONS, dataset=load_dataset("parksim", with_images=False))
    assert list(tmp_path.iterdir()) == []
    card = evaluator.compute(out=tmp_path / "mine.json")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.json", "mine.predictions.json", "mine.images.csv"}
    assert wildbench.read_scorecard(tmp_path / "mine.json") == card


def test_a_scorecard_shows_itself_in_a_line_a_table_and_a_frame() -> None:
    card = wildbench.read_scorecard(REFERENCE)
    assert repr(card).startswith(
        "Scorecard(reference on parksim test: AP 46.4 %, AP50 82.6 %, file 8.34 MB, MACs 1.598 GMAC"
    )
    assert len(repr(card)) < 120
    assert "46.4 %" in card._repr_html_()
    frame = card.to_frame()
    assert frame.loc["accuracy.ap50", "value"] == card.accuracy.ap50.value
    assert frame.loc["size.file_bytes", "unit"] == "B"
    assert tuple(frame.loc["accuracy.ap", ["low", "high"]]) == card.accuracy.ap.interval
