"""Which filters go, what goes with them out of whole detectors, and what stays."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up_subjects import SMALL, channels_of, detector, step, wake
from refusals import refused
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.methods import _filters
from wildbench.compression.methods._filters import (
    Channels,
    Coupling,
    Slice,
    _Traced,
    chunks,
    image_losses,
    ranked,
    thawed,
    uniform,
)
from wildbench.compression.subject import Subject, Workshop, is_output, prunable
from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import decode
from wildbench.detectors.zoo import _zoo
from wildbench.detectors.zoo._published import known_categories
from wildbench.submissions.archive._archive import read_submission, rebuild, save_submission


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


SSD, SSDLITE, FASTER = "ssd300_vgg16", "ssdlite320_mobilenet_v3_large", "fasterrcnn_resnet50_fpn"
MASK = "maskrcnn_mobilenet_v3_large_fpn"
LIGHT = (_zoo.SMALL, SSDLITE, MASK)
"""Together they have every kind of layer: depthwise, squeeze, frozen and group norms, RoI heads, transposed."""
EACH = [pytest.param(name, marks=() if name in LIGHT else pytest.mark.slow) for name in _zoo.names()]


def cheap(name: str) -> dict[str, Any]:
    return dict(_zoo.detector(name).small)


def trained(name: str) -> Subject:
    """A detector whose norms are not those of a new one, so that a channel mistaken for another shows."""
    subject = detector(name, **cheap(name))
    random = torch.Generator().manual_seed(1)
    for module in subject.model.modules():
        if isinstance(module, (nn.BatchNorm2d, FrozenBatchNorm2d, nn.GroupNorm)):
            for values in (module.weight, module.bias, *(getattr(module, key, None) for key in ("running_mean",))):
                if values is not None:
                    values.data.add_(0.3 * torch.randn(values.shape, generator=random))
    return subject


def raw_outputs(model: nn.Module, name: str) -> list[Tensor]:
    side = 300 if name == SSD else 64
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        return _Traced(model)(image)


def silence(model: nn.Module, narrowed: nn.Module, group: Any) -> None:
    """Let filters and norms answer with zero for the channels that a group took out of a narrowed copy."""
    names = {module: name for name, module in narrowed.named_modules()}
    for item in group:
        layer, indices = names.get(item.dep.target.module), list(item.idxs)
        if layer is None or "out_channels" not in item.dep.handler.__name__:
            continue
        module: Any = model.get_submodule(layer)
        if isinstance(module, nn.ConvTranspose2d):
            module.weight.data[:, indices] = 0
        else:
            module.weight.data[indices] = 0
        if module.bias is not None:
            module.bias.data[indices] = 0
        if hasattr(module, "running_mean"):
            module.running_mean[indices] = 0


@pytest.mark.parametrize("name", EACH)
def test_a_narrowed_detector_answers_as_the_dense_one_with_those_channels_at_zero(name: str) -> None:
    subject = trained(name)
    dense, narrowed = copy.deepcopy(subject.model), subject.model
    with thawed(narrowed):
        coupling = Coupling(narrowed)
        for number, channels in enumerate(coupling.channels()):
            start = number % 3 * channels.block
            run = list(range(start, start + max(channels.width // 4 // channels.block, 1) * channels.block))
            if channels.width > 2 * len(run) + start:
                silence(dense, narrowed, coupling.remove(channels, run))
    assert sum(p.numel() for p in narrowed.parameters()) < 0.8 * sum(p.numel() for p in dense.parameters())
    for found, expected in zip(raw_outputs(narrowed, name), raw_outputs(dense, name), strict=True):
        scale = float(expected.abs().max())
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("name", EACH)
def test_a_pruned_detector_is_stored_and_rebuilt_to_the_bit(name: str, tmp_path: Path) -> None:
    subject = detector(name, **cheap(name))
    full = {key: value.shape for key, value in subject.model.state_dict().items()}
    step(subject, "filters", ratio=0.3, scope="all")
    assert not any(module._forward_hooks for module in subject.model.modules())
    save_submission(
        subject.model, tmp_path / "a.pt", detector=name, categories=["zebra", "lion"], arguments=cheap(name)
    )
    again = rebuild(read_submission(tmp_path / "a.pt"), "a.pt")
    with torch.inference_mode():
        photograph = [torch.rand(3, 64, 80)]
        (expected,), (found,) = subject.model(photograph), again(photograph)
    assert len(expected["scores"])
    assert all(torch.equal(found[key], values) for key, values in expected.items())
    after = {key: value.shape for key, value in subject.model.state_dict().items()}
    assert list(after) == list(full)
    for path in prunable(again, "all"):
        made = after[f"{path}.weight"][0], full[f"{path}.weight"][0]
        assert made[0] == made[1] or (made[0] % 8 == 0 and not is_output(path))
    for path, module in again.named_modules():
        if isinstance(module, nn.GroupNorm) and after[f"{path}.weight"] != full[f"{path}.weight"]:
            assert module.num_channels == 8 * module.num_groups


@pytest.mark.parametrize("scope", ["backbone", "head", "both"])
@pytest.mark.parametrize("name", [_zoo.SMALL, SSDLITE, MASK])
def test_only_filters_of_the_scope_go(name: str, scope: str) -> None:
    subject = detector(name, **cheap(name))
    before = {path: value.shape for path, value in subject.model.state_dict().items()}
    if (name, scope) == (SSDLITE, "head"):
        with refused("recipe/nothing-to-prune", "scope 'head' of ssdlite"):
            step(subject, "filters", scope=scope)
        return
    step(subject, "filters", scope=scope)
    after = subject.model.state_dict()
    starts = {"backbone": ("backbone.",), "head": ("head.", "roi_heads."), "both": ("backbone.", "head.", "roi_heads.")}
    made = [path for path, shape in before.items() if path.endswith("weight") and after[path].shape[0] < shape[0]]
    convolutions = [path for path in made if len(before[path]) > 1 and before[path][1] > 1]
    assert convolutions
    assert all(path.startswith(starts[scope]) for path in convolutions)


@pytest.mark.parametrize("importance", ["l1", "group-l2", "random"])
@pytest.mark.parametrize("distribution", ["global", "uniform"])
def test_the_history_says_what_is_really_gone(importance: str, distribution: str) -> None:
    subject = detector()
    counted = []
    for _ in range(2):
        layers = [m for n, m in subject.model.named_modules() if isinstance(m, nn.Conv2d) and not is_output(n)]
        counted.append((sum(len(m.weight) for m in layers), sum(p.numel() for p in subject.model.parameters())))
        if len(counted) == 1:
            step(subject, "filters", ratio=0.25, scope="all", importance=importance, distribution=distribution)
    (filters, parameters), (left, fewer) = counted
    assert subject.history == [
        f"{filters - left:,} of {filters:,} filters of all removed ({distribution} {importance}, multiples of 8): "
        f"{parameters:,} parameters to {fewer:,}"
    ]
    assert left / filters == pytest.approx(0.75, abs=0.015)
    assert left >= 0.75 * filters or distribution == "uniform"


def eight_filters(subject: Subject) -> float:
    """The ratio at which one chunk of channels goes that are made by one filter and passed on by another."""
    with thawed(subject.model):
        total = sum(one.width * len(one.filters) for one in Coupling(subject.model).channels())
    return 16 / total


def test_the_filters_of_least_norm_go_and_no_other() -> None:
    subject, indices = detector(), [5, 40, 41, 42, 43, 90, 91, 95]
    block = subject.model.backbone.body._blocks[1]
    with torch.no_grad():
        block._expand_conv.weight[indices] *= 1e-6
        block._depthwise_conv.weight[indices] *= 1e-6
    stays = [index for index in range(96) if index not in indices]
    expected = {
        name: value[stays] if value.shape[:1] == (96,) else value.clone() for name, value in block.state_dict().items()
    }
    expected["_project_conv.weight"] = expected["_project_conv.weight"][:, stays]
    ratio = eight_filters(subject)
    others = {name: value.shape for name, value in subject.model.state_dict().items() if "_blocks.1." not in name}
    step(subject, "filters", ratio=ratio, scope="all", importance="l1")
    assert all(torch.equal(value, expected[name]) for name, value in block.state_dict().items())
    assert all(subject.model.state_dict()[name].shape == shape for name, shape in others.items())


def test_a_ratio_of_zero_changes_nothing_and_random_is_seeded() -> None:
    dense = detector().model.state_dict()
    same = step(detector(), "filters", ratio=0.0).model.state_dict()
    assert all(torch.equal(same[name], values) for name, values in dense.items())
    shapes = [
        {k: v.shape for k, v in step(detector(), "filters", seed=seed, importance="random").model.state_dict().items()}
        for seed in (0, 0, 1)
    ]
    assert shapes[0] == shapes[1] != shapes[2]


def test_taylor_takes_what_the_losses_do_not_need_and_leaves_no_trace(pictures: Dataset) -> None:
    subject, indices = detector(), range(8, 16)
    wake(subject.model)
    block = subject.model.backbone.body._blocks[2]
    block._project_conv.weight.data[:, indices] = 0  # nobody reads these, however large they are
    block._expand_conv.weight.data[indices] *= 100
    reads = block._project_conv.weight.detach().clone()
    stays = [index for index in range(reads.shape[1]) if index not in indices]
    norms = {name: value.clone() for name, value in subject.model.state_dict().items() if "running" in name}
    ratio = eight_filters(subject)
    step(subject, "filters", ratio=ratio, scope="all", importance="taylor", data=pictures, images=3)
    assert torch.equal(block._project_conv.weight, reads[:, stays])
    assert all(parameter.grad is None for parameter in subject.model.parameters())
    assert not subject.model.training
    after = subject.model.state_dict()
    changed = [name for name, value in norms.items() if not torch.equal(after[name], value)]
    assert all(name.startswith("backbone.body._blocks.2.") for name in changed)


@pytest.mark.parametrize("name", [SSDLITE, "fasterrcnn_mobilenet_v3_large_320_fpn", MASK])
def test_taylor_asks_the_losses_of_other_detectors_too(name: str, pictures: Dataset) -> None:
    first, second = (
        step(detector(name, **cheap(name)), "filters", importance="taylor", data=pictures, images=2).model
        for _ in range(2)
    )
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    "wrong", [{"ratio": 1}, {"scope": "tail"}, {"importance": "l0"}, {"distribution": "even"}, {"round_to": 0}], ids=str
)
def test_settings_out_of_range_are_refused_in_one_line(wrong: dict) -> None:
    with refused("recipe/invalid", f"step 1 (filters): {next(iter(wrong))}"):
        step(detector(), "filters", **wrong)


def test_weights_that_were_zeroed_are_not_forgotten() -> None:
    for method, settings in (("weights", {}), ("share", {"table": "layer"}), ("share", {"table": "global"})):
        with refused("recipe/order"):
            step(step(detector(), method, **settings), "filters")


def test_taylor_asks_no_data_with_other_categories(pictures: Dataset) -> None:
    many = [{"id": number, "name": f"animal {number}"} for number in range(1, 8)]
    other = dataclasses.replace(pictures, coco={**pictures.coco, "categories": many})
    with refused("recipe/other-categories", "pictures"):
        step(detector(), "filters", importance="taylor", data=other, images=2)


def network() -> nn.Sequential:
    """One norm as torchvision freezes it, one with epsilon, one that is not frozen."""
    torch.manual_seed(0)
    model = nn.Sequential(FrozenBatchNorm2d(4, eps=0.0), nn.Sequential(FrozenBatchNorm2d(4)), nn.BatchNorm2d(4)).eval()
    for module in (model[0], model[1][0], model[2]):
        for values in (module.weight, module.bias, module.running_mean, module.running_var):
            values.data.copy_(torch.rand(4) + 0.1)
    return model


def test_both_kinds_answer_alike_and_the_frozen_come_back_to_the_bit() -> None:
    model, image = network(), torch.rand(2, 4, 3, 3)
    names, before, state = list(model.state_dict()), model(image), {k: v.clone() for k, v in model.state_dict().items()}
    with thawed(model):
        assert [type(module) for module in model.modules()].count(nn.BatchNorm2d) == 3
        torch.testing.assert_close(model(image), before)
    assert torch.equal(model(image), before)
    assert list(model.state_dict()) == names
    assert all(torch.equal(values, state[name]) for name, values in model.state_dict().items())
    assert [type(module) for module in (model[0], model[1][0], model[2])] == [FrozenBatchNorm2d] * 2 + [nn.BatchNorm2d]
    assert (model[0].eps, model[1][0].eps) == (0.0, 1e-5)
    assert not any(parameter is model[0].weight for parameter in model.parameters())


def test_a_norm_that_was_narrowed_stays_narrow() -> None:
    model = network()
    with thawed(model):
        norm = model[0]
        norm.weight, norm.bias = nn.Parameter(norm.weight[1:]), nn.Parameter(norm.bias[1:])
        norm.running_mean, norm.running_var = norm.running_mean[1:], norm.running_var[1:]
    assert isinstance(model[0], FrozenBatchNorm2d)
    assert model[0](torch.rand(1, 3, 2, 2)).shape == (1, 3, 2, 2)


def test_they_freeze_again_where_the_block_fails() -> None:
    model = network()
    with pytest.raises(ZeroDivisionError), thawed(model):
        _ = 1 / 0
    assert isinstance(model[0], FrozenBatchNorm2d)


def test_a_detector_without_a_backbone_is_refused_in_a_line() -> None:
    with refused("recipe/no-such-part", "Sequential"):
        Coupling(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3)))
