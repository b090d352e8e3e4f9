"""Every detector of the zoo x every method: what was saved and read again detects what the compressed model detects.

Random weights and small images. `filters` takes three quarters of the channels out of the detector as the zoo builds
it; the other methods are applied to what is left, which has every layer of the detector, a quarter as wide.
"""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from made_up_subjects import wake
from refusals import refused
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from wildbench import plugins
from wildbench.compression.chain import save
from wildbench.compression.recipes import parse_recipe
from wildbench.compression.subject import Subject, Workshop
from wildbench.datasets.coco import Dataset
from wildbench.detectors.zoo import _zoo
from wildbench.submissions.archive._archive import read_submission, rebuild
from wildbench.submissions.manifest import parse_manifest
from wildbench.submissions.process import open_submission

pytestmark = pytest.mark.slow

Detections = list[dict[str, Tensor]]

NARROW = {"method": "filters", "ratio": 0.75, "scope": "all", "distribution": "uniform"}
LIGHT: dict[str, dict[str, Any]] = {
    "weights": {"ratio": 0.5, "scope": "all"},
    "units": {"ratio": 0.25, "scope": "all"},
    "kernels": {"ratio": 0.25, "scope": "all"},
    "quantize": {"images": 1},
    "share": {"bits": 3},
    "recalibrate": {"images": 2, "batch_size": 2},
    **{name: {"epochs": 0.5, "batch_size": 2, "warmup_steps": 1} for name in ("fine-tune", "distil", "from-scratch")},
}
"""Settings that make a method quick; its own where nothing is said."""

FEW = {"box_score_thresh": 0.0, "rpn_post_nms_top_n_test": 50, "box_detections_per_img": 10}
"""Proposals and detections of two-stage detectors, whose heads run for each."""

CANNOT = {("ssd300_vgg16", "recalibrate"): "recipe/no-batch-norms"}
"""Cells that cannot be, and the code of their error; docs/baselines.md has the same list."""

CELLS = [(detector, method) for detector in _zoo.names() for method in plugins.methods.names()]

QUICK = (
    "fcos_efficientnet_lite0_fpn",
    "ssdlite320_mobilenet_v3_large",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "maskrcnn_mobilenet_v3_large_fpn",
)
"""One of each kind, tried by default; the others by -m exhaustive."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Four images with a red or a blue rectangle each, with its outline."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, 5):
        pixels = random.integers(90, 150, (64, 80, 3), np.uint8)
        x, y, w, h = (int(value) for value in random.integers(8, 32, 4))
        pixels[y : y + h, x : x + w] = (220, 40, 40) if number % 2 else (40, 60, 220)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
        images.append({"id": number, "file_name": f"{number}.png", "width": 80, "height": 64})
        outline = [[x, y, x + w, y, x + w, y + h, x, y + h]]
        box = {"bbox": [x, y, w, h], "area": w * h, "iscrowd": 0, "segmentation": outline}
        annotations.append({"id": number, "image_id": number, "category_id": 1 + number % 2, **box})
    categories = [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}]
    return Dataset(
        "pictures", "train", {"images": images, "annotations": annotations, "categories": categories}, folder
    )


@cache
def dense(name: str) -> Subject:
    """The detector as the zoo builds it; every score counts, so that random weights detect something."""
    arguments: dict[str, Any] = {**FEW} if "rcnn" in name else {"score_thresh": 0.0}
    if not name.startswith("ssd"):
        arguments |= {"min_size": 64, "max_size": 96}
    torch.manual_seed(0)
    document = {"name": "dense", "detector": {"name": name, "arguments": arguments}, "categories": ["red", "blue"]}
    return Subject(_zoo.build(name, 2, **arguments).eval(), parse_manifest(document, "dense.pt"))


@cache
def narrow(name: str) -> Subject:
    return applied(NARROW, dense(name), Workshop(nn.Identity(), Dataset("none", None, {}, None)))


def applied(step: dict[str, Any], subject: Subject, workshop: Workshop) -> Subject:
    """What a step makes of a copy of the subject."""
    own = Subject(copy.deepcopy(subject.model), subject.manifest)
    (found,) = parse_recipe({"summary": "one step", "steps": [step]}).steps
    found.apply(own, workshop)
    own.model.eval()
    if step["method"] != "code" and own.codec == "smallest":
        own.codec = "raw"  # of the codecs nothing is asked in the other cells, and the smallest takes seconds
    return own


class Unfilled(TorchFunctionMode):
    """Networks are built with NaN for random weights: in a fraction of the time, and what is not read again shows."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__.endswith(("normal_", "uniform_")):
            tensor = args[0] if args else kwargs["tensor"]
            return tensor.data.fill_(torch.nan)
        return func(*args, **kwargs or {})


@torch.inference_mode()
def detections(model: nn.Module) -> Detections:
    generator = torch.Generator().manual_seed(1)
    found: Detections = model([torch.rand(3, 64, 80, generator=generator), torch.rand(3, 72, 64, generator=generator)])
    return found


def changed(before: nn.Module, after: nn.Module) -> bool:
    mine, theirs = before.state_dict(), after.state_dict()
    return mine.keys() != theirs.keys() or not all(torch.equal(mine[key], theirs[key]) for key in mine)


@pytest.mark.parametrize(
    ("name", "method"),
    [pytest.param(*cell, marks=() if cell[0] in QUICK else pytest.mark.exhaustive) for cell in CELLS],
)
def test_what_was_saved_detects_the_same(name: str, method: str, pictures: Dataset, tmp_path: Path) -> None:
    before = dense(name) if method == "filters" else narrow(name)
    teacher = copy.deepcopy(before.model).requires_grad_(requires_grad=False)
    step = NARROW if method == "filters" else {"method": method, **LIGHT.get(method, {})}
    workshop = Workshop(teacher, pictures)
    if method == "recalibrate":  # there is nothing to take back where nothing was changed
        before = applied({"method": "weights", **LIGHT["weights"]}, before, workshop)
    if (name, method) in CANNOT:
        with refused(CANNOT[name, method]):
            applied(step, before, workshop)
        return
    subject = applied(step, before, workshop)
    assert changed(before.model, subject.model)
    path = tmp_path / "compressed.pt"
    with Unfilled():
        save(subject, path, parent="0" * 64)
        again = rebuild(read_submission(path), "compressed.pt")
    expected, found = detections(subject.model), detections(again)
    assert any(len(one["boxes"]) for one in expected)
    for mine, theirs in zip(expected, found, strict=True):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.exhaustive) for name in _zoo.names()]
)
def test_what_runs_in_integers_scores_nearly_the_same(name: str, pictures: Dataset, tmp_path: Path) -> None:
    """Nearly: scores of random weights lie close together, and which of two comes first hangs on a rounding."""
    before = Subject(copy.deepcopy(narrow(name).model), narrow(name).manifest)
    wake(before.model)
    subject = applied({"method": "quantize", "images": 2}, before, Workshop(nn.Identity(), pictures))
    path = tmp_path / "integers.onnx"
    save(subject, path, parent="0" * 64)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    detections = open_submission(path).predict(pixels)
    found = np.sort(detections.scores)[::-1]
    with torch.inference_mode():
        answer = subject.model([torch.from_numpy(pixels).permute(2, 0, 1).float() / 255])[0]
    sides = answer["boxes"][:, 2:] - answer["boxes"][:, :2]
    expected = np.sort(answer["scores"][(sides > 0).all(dim=1)].numpy())[::-1]  # random weights: many have no area
    assert detections.dropped + len(found) == pytest.approx(len(answer["scores"]), rel=0.05)  # some pass the floor
    most = min(len(found), len(expected))
    assert most >= 0.8 * max(len(found), len(expected)) > 0
    assert np.abs(found[:most] - expected[:most]).max() < 0.02


def test_every_exception_is_a_cell() -> None:
    assert CANNOT
    assert set(CANNOT) <= set(CELLS)
