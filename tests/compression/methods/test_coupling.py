"""Filters out of whole detectors: what goes with them, and what stays."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up_subjects import detector, step, wake
from refusals import refused
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.methods._coupling import Coupling, _Traced, thawed
from wildbench.compression.subject import Subject, is_output, prunable
from wildbench.datasets.coco import Dataset
from wildbench.detectors.zoo import _zoo
from wildbench.submissions.archive._archive import read_submission, rebuild, save_submission

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


def silence(model: nn.Module, gone: dict[str, list[int]]) -> None:
    """Let filters and norms answer with zero for some of their channels."""
    for layer, indices in gone.items():
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
                silence(dense, coupling.remove(channels, run))
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
