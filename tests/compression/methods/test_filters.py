"""Which filters go: importance against numbers worked out by hand, selection, and the losses of images."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from made_up_subjects import SMALL, channels_of, detector
from refusals import refused
from torch import Tensor, nn

from wildbench.compression.methods import _filters
from wildbench.compression.methods._coupling import Channels, Slice
from wildbench.compression.methods._filters import chunks, image_losses, ranked, uniform
from wildbench.compression.subject import Workshop
from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import decode
from wildbench.detectors.zoo import _zoo
from wildbench.detectors.zoo._published import known_categories


def layer(kind: type, weights: list, **arguments: int) -> nn.Module:
    values = torch.tensor(weights, dtype=torch.float32)
    if kind is nn.Linear:
        module: nn.Module = nn.Linear(values.shape[1], values.shape[0], bias=False)
    else:
        values = values[:, :, None, None]
        module = nn.Conv2d(values.shape[1] * arguments.get("groups", 1), len(values), 1, bias=False, **arguments)
    module.weight = nn.Parameter(values)
    return module


@pytest.fixture
def coupled() -> Channels:
    """Two channels: made by 2 filters, passed on by a depthwise layer, read as two flattened pixels each."""
    makes = layer(nn.Conv2d, [[1, -2], [3, 0]])
    passes = layer(nn.Conv2d, [[5], [-7]], groups=2)
    reads = layer(nn.Linear, [[1, 2, 3, 4], [0, 1, 0, -1]])
    own = torch.arange(2)
    return Channels(
        width=2,
        block=1,
        slices=(
            Slice("makes", makes, True, own, own),
            Slice("passes", passes, True, own, own),
            Slice("reads", reads, False, torch.arange(4), torch.tensor([0, 0, 1, 1])),
        ),
    )


def test_l1_is_the_mean_norm_of_the_filters(coupled: Channels) -> None:
    assert _filters.l1(coupled).tolist() == [(3 + 5) / 2, (3 + 7) / 2]


def test_taylor_is_the_squared_change_of_a_linear_loss() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 1))
    own = torch.arange(3)
    channels = Channels(
        3,
        (
            Slice("0", model[0], True, own, own),
            Slice("3", model[3], False, torch.arange(12), torch.arange(3).repeat_interleave(4)),
        ),
        1,
    )
    images = [torch.randn(1, 2, 2, 2) for _ in range(3)]
    (found,) = _filters.taylor([channels], (model(image).sum() for image in images), model)
    assert all(parameter.grad is None for parameter in model.parameters())

    def without(channel: int, image: Tensor) -> float:
        features = model[:2](image)
        features[:, channel] = 0
        return float(model[2:](features).sum())

    with torch.no_grad():
        expected = [sum((float(model(i).sum()) - without(channel, i)) ** 2 for i in images) for channel in range(3)]
    assert found.tolist() == pytest.approx(expected, rel=1e-4)


NINE = torch.tensor([5.0, 1, 9, 2, 8, 3, 7, 4, 6])


def test_the_least_important_go_first_and_multiples_are_left() -> None:
    assert chunks(channels_of(9), NINE, 4) == [[1], [3, 5, 7, 0]], "8 left, then 4"
    assert chunks(channels_of(8), NINE[:8], 4) == [[1, 3, 5, 7]]
    assert chunks(channels_of(4), NINE[:4], 4) == [], "a layer as narrow as that keeps all"
    assert chunks(channels_of(3), NINE[:3], 4) == []


def test_groups_of_a_norm_go_whole() -> None:
    scores = torch.tensor([9.0, 0, 4, 4, 1, 2, 8, 8])
    assert chunks(channels_of(8, block=2), scores, 2) == [[4, 5], [2, 3], [0, 1]], "means 4.5, 4, 1.5, 8"
    assert chunks(channels_of(8, block=2), scores, 3) == [[4, 5]], "of 8, 6 are a multiple of 2 and 3"


@pytest.mark.parametrize(("ratio", "gone"), [(0.0, 0), (0.1, 1), (0.33, 1), (0.34, 5), (0.99, 5)])
def test_uniform_takes_the_nearest_share_of_each(ratio: float, gone: int) -> None:
    assert [len(indices) for indices in uniform([channels_of(9)] * 2, [NINE, NINE * 100], ratio, 4)] == [gone, gone]


def test_ranked_takes_the_least_of_all_layers_up_to_the_ratio() -> None:
    layers = [channels_of(4), channels_of(4, filters=2)]
    scores = [torch.tensor([1.0, 6, 3, 8]), torch.tensor([7.0, 2, 4, 5])]
    taken = {ratio: ranked(layers, scores, ratio, 1) for ratio in (1 / 12, 3 / 12, 4 / 12, 5 / 12, 6 / 12)}
    assert taken == {
        1 / 12: [[0], []],
        3 / 12: [[0], [1]],
        4 / 12: [[0, 2], [1]],
        5 / 12: [[0, 2, 1], [1]],  # the next costs two filters, the one after it one
        6 / 12: [[0, 2], [1, 2]],
    }


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.5, 0.8])
def test_one_filter_at_a_time_the_ratio_is_met_to_one(ratio: float) -> None:
    random = torch.Generator().manual_seed(0)
    layers = [channels_of(width) for width in (10, 20, 40)]
    scores = [torch.rand(one.width, generator=random) for one in layers]
    gone = ranked(layers, scores, ratio, 1)
    assert sum(map(len, gone)) == int(ratio * 70)
    worst = max(float(score[indices].max()) for score, indices in zip(scores, gone, strict=True) if indices)
    assert all((score < worst).sum() <= len(indices) for score, indices in zip(scores, gone, strict=True))


def test_layers_of_small_scale_are_not_emptied() -> None:
    scores: list[Tensor] = [torch.rand(16) * 1e-6, torch.rand(16)]
    gone = ranked([channels_of(16)] * 2, scores, 0.5, 4)
    assert [len(indices) for indices in gone] == [12, 4]
    assert [len(indices) for indices in ranked([channels_of(16)] * 2, scores, 0.99, 4)] == [12, 12]


def losses(model: nn.Module, pictures: Dataset, images: int = 100, seed: int = 0) -> list[float]:
    workshop = Workshop(nn.Identity(), pictures, seed)
    return [float(loss.detach()) for loss in image_losses(model, _zoo.SMALL, workshop, images)]


def test_they_are_those_of_the_detector_on_the_image_as_it_is(pictures: Dataset) -> None:
    model = detector(_zoo.SMALL, **SMALL).model
    before = copy.deepcopy(model.state_dict())
    found = losses(model, pictures)
    assert not model.training
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    expected = []
    for index in np.random.default_rng(0).permutation(6).tolist():
        image = pictures.images[index]
        pixels = torch.from_numpy(decode(pictures.image_path(image))).permute(2, 0, 1).float() / 255
        (box,) = pictures.boxes(image["id"])
        x, y, w, h = box["bbox"]
        target = {"boxes": torch.tensor([[x, y, x + w, y + h]]).float(), "labels": torch.tensor([box["category_id"]])}
        model.train()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        target["known"] = known_categories({1, 2}, 2)
        expected.append(float(sum(loss.detach() for loss in model([pixels], [target]).values())))
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_few_are_drawn_by_the_seed(pictures: Dataset) -> None:
    model = detector(_zoo.SMALL, **SMALL).model
    whole = losses(model, pictures)
    assert losses(model, pictures, images=2) == whole[:2]
    assert losses(model, pictures, images=2, seed=1) != whole[:2]


def test_a_detector_of_masks_needs_masks(pictures: Dataset) -> None:
    bare = [{key: value for key, value in box.items() if key != "segmentation"} for box in pictures.annotations]
    without = dataclasses.replace(pictures, coco={**pictures.coco, "annotations": bare})
    with refused("recipe/no-masks", "pictures"):
        next(iter(image_losses(nn.Identity(), "maskrcnn_resnet50_fpn", Workshop(nn.Identity(), without), 1)))
