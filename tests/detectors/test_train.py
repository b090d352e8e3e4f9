"""Training learns, is seeded, and goes on where it stopped as if it never had."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.ops import box_iou

from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import decode
from wildbench.detectors import _train
from wildbench.detectors._recipe import Recipe, Submission, parse_recipe
from wildbench.detectors._train import learning_rate, train
from wildbench.errors import RecipeError


def recipe(epochs: float = 3, detector: dict[str, Any] | None = None, **sections: dict[str, Any]) -> Recipe:
    small = {
        "name": "fcos_efficientnet_lite0_fpn",
        "init": "random",
        "arguments": {"blocks": 12, "channels": 16, "depth": 1, "min_size": 64, "max_size": 64},
    }
    values: dict[str, Any] = {
        "detector": small | (detector or {}),
        "schedule": {"epochs": epochs, "batch_size": 4, "warmup_steps": 2, "ema_decay": 0.9, "plain_fraction": 0.3},
        "augmentation": {"height": 64, "width": 64, "mosaic": 0.3, "paste": 0.3},
    }
    for section, changes in sections.items():
        values[section] = values.get(section, {}) | changes
    return parse_recipe(values)


class Stop(Exception):
    pass


def stop_at(step: int) -> Any:
    def progress(task: str, done: int, total: int) -> None:
        if done == step:
            raise Stop

    return progress


def assert_same(first: nn.Module, second: nn.Module) -> None:
    theirs = second.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in first.state_dict().items())


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_resumed_equals_uninterrupted(
    rectangles: Dataset, tmp_path: Path, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_train, "CHECKPOINT_EVERY", 2)
    settings = recipe(optimizer={"name": optimizer})
    whole = train(settings, rectangles)
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(Stop):
        train(settings, rectangles, checkpoint=checkpoint, progress=stop_at(3))
    steps: list[int] = []
    resumed = train(settings, rectangles, checkpoint=checkpoint, progress=lambda task, done, total: steps.append(done))
    assert steps == [3, 4, 5, 6]
    assert_same(resumed, whole)
    assert_same(train(settings, rectangles, checkpoint=checkpoint), whole)  # finished: nothing is left to do
    signed = settings.model_copy(update={"submission": Submission(authors=["Ada"])})
    assert_same(train(signed, rectangles, checkpoint=checkpoint), whole)  # who made it changes no weight


def test_seed_changes_the_result(rectangles: Dataset) -> None:
    first, second = (train(recipe(epochs=1, schedule={"epochs": 1, "seed": seed}), rectangles) for seed in (0, 1))
    logits = "head.classification_head.cls_logits.weight"
    assert not torch.equal(first.state_dict()[logits], second.state_dict()[logits])


def test_torch_s_own_numbers_stay_where_they_were(rectangles: Dataset) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(recipe(epochs=0.1), rectangles)
    assert torch.equal(torch.get_rng_state(), before)


def test_learns_where_rectangles_are(rectangles: Dataset) -> None:
    calm = ("shift", "gray", "colour", "mosaic", "paste", "blur", "noise", "dropout")
    settings = recipe(
        epochs=20,
        detector={"init": "imagenet"},
        optimizer={"learning_rate": 3e-3, "backbone_factor": 1.0},
        augmentation=dict.fromkeys(calm, 0.0) | {"scale": (1.0, 1.0)},
    )
    detector = train(settings, rectangles)
    assert not detector.training
    right, scores = 0, []
    for image in rectangles.images:
        pixels = torch.from_numpy(decode(rectangles.image_path(image))).permute(2, 0, 1).float() / 255
        with torch.no_grad():
            found = detector([pixels])[0]
        scores.append(max(found["scores"].tolist(), default=0.0))
        for x, y, w, h in (annotation["bbox"] for annotation in rectangles.boxes(image["id"])):
            right += bool(box_iou(found["boxes"][:1], torch.tensor([[x, y, x + w, y + h]]).float()) > 0.5)
    assert right >= 6
    assert scores[7] < min(scores[:7])  # the picture without a rectangle


def test_frozen_blocks_stay(rectangles: Dataset) -> None:
    settings = recipe(epochs=1, detector={"init": "imagenet", "frozen_blocks": 3})
    before = train(recipe(epochs=0.01, detector={"init": "imagenet", "frozen_blocks": 12}), rectangles).state_dict()
    after = train(settings, rectangles).state_dict()
    body = [name for name in after if name.startswith("backbone.body.")]
    changed = {name.split(".")[3] for name in body if "_blocks" in name and not torch.equal(before[name], after[name])}
    assert changed == {str(block) for block in range(3, 12)}
    assert torch.equal(before["backbone.body._conv_stem.weight"], after["backbone.body._conv_stem.weight"])


def test_mask_rcnn_learns_from_masks(rectangles: Dataset) -> None:
    name, sizes = "maskrcnn_mobilenet_v3_large_fpn", {"min_size": 64, "max_size": 64}
    settings = recipe(
        epochs=0.5, detector={"name": name, "init": "random", "arguments": sizes}, optimizer={"learning_rate": 1e-4}
    )
    detector = train(settings, rectangles)
    assert all(torch.isfinite(value).all() for value in detector.state_dict().values())


def test_schedule_ends_low() -> None:
    settings = recipe(schedule={"epochs": 1, "warmup_steps": 10, "final_factor": 0.1}, optimizer={"learning_rate": 2.0})
    rates = [learning_rate(settings, step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert rates[10] == pytest.approx(2.0)
    assert rates[55] == pytest.approx(0.2 + 1.8 / 2)
    assert rates[99] == pytest.approx(0.2, abs=0.01)


def refusal(settings: Recipe, dataset: Dataset, checkpoint: Path | None = None) -> str:
    """The code of the error with which a training run is refused."""
    with pytest.raises(RecipeError) as error:
        train(settings, dataset, checkpoint=checkpoint)
    return error.value.code


def test_wrong_checkpoints(rectangles: Dataset, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.ckpt"
    train(recipe(epochs=0.5), rectangles, checkpoint=checkpoint)
    assert refusal(recipe(epochs=1), rectangles, checkpoint) == "recipe/other-checkpoint"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    assert refusal(recipe(epochs=0.5), rectangles, checkpoint) == "recipe/not-a-checkpoint"
    torch.save(nn.Linear(2, 2), checkpoint)
    assert refusal(recipe(epochs=0.5), rectangles, checkpoint) == "recipe/not-a-checkpoint"


def test_what_cannot_be_trained_is_refused(rectangles: Dataset) -> None:
    frozen = {"name": "ssdlite320_mobilenet_v3_large", "init": "random", "arguments": {}, "frozen_blocks": 2}
    assert refusal(recipe(detector=frozen), rectangles) == "recipe/frozen-blocks"
    steep = recipe(optimizer={"learning_rate": 1e30, "gradient_clip": 1e30})
    assert refusal(steep, rectangles) == "recipe/diverged"
    rectangles.images[0]["annotated_categories"] = ["red"]
    assert refusal(recipe(detector={"name": "ssd300_vgg16", "arguments": {}}), rectangles) == "recipe/partial-labels"
