"""Weights, units and kernels that become zero, and stay zero."""

import pytest
import torch
from made_up_subjects import detector, step, subject_of, train_a_step
from refusals import refused
from torch import nn

from wildbench.compression.subject import is_output, prunable
from wildbench.detectors.zoo import _zoo


def two_layers() -> nn.Sequential:
    """Weights 1..4 and -1.5, 2.5, 6, 7, with biases that are smaller than all of them."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Conv2d(2, 2, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 2], [3, 4]]))
        model[1].weight.copy_(torch.tensor([[-1.5, 2.5], [6, 7]]).view(2, 2, 1, 1))
        for layer in model:
            layer.bias.fill_(0.1)
    return model


def test_the_smallest_of_all_layers_go_together() -> None:
    subject = step(subject_of(two_layers()), "weights", ratio=0.5, scope="all")
    assert subject.model[0].weight.tolist() == [[0, 0], [3, 4]]
    assert subject.model[1].weight.flatten().tolist() == [0, 0, 6, 7]
    assert (subject.model[0].bias == 0.1).all()
    assert list(subject.model.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert subject.history == ["4 of 8 weights of all zeroed (global unstructured, l1)"]


def test_what_is_zero_counts() -> None:
    subject = subject_of(two_layers())
    step(step(subject, "weights", ratio=0.25, scope="all"), "weights", ratio=0.5, scope="all")
    assert sum(int((layer.weight == 0).sum()) for layer in subject.model) == 4


@pytest.mark.parametrize("scope", ["backbone", "head", "both", "all"])
@pytest.mark.parametrize("criterion", ["l1", "random"])
def test_the_ratio_is_met_to_one_weight_in_its_scope_alone(scope: str, criterion: str) -> None:
    subject = detector()
    for layer in prunable(subject.model, scope).values():
        layer.weight.data[layer.weight == 0] = 1e-9  # random numbers have a few zeros of their own
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    step(subject, "weights", ratio=0.3, scope=scope, criterion=criterion)
    weights = {f"{name}.weight" for name in prunable(subject.model, scope)}
    total = sum(before[name].numel() for name in weights)
    after = subject.model.state_dict()
    assert sum(int((after[name] == 0).sum()) for name in weights) == round(0.3 * total)
    assert all(torch.equal(after[name], value) for name, value in before.items() if name not in weights)
    assert not any(name.endswith(("_orig", "_mask")) for name in after)


def test_random_is_seeded_and_is_no_magnitude() -> None:
    zeros = []
    for seed, criterion in ((0, "random"), (0, "random"), (1, "random"), (0, "l1")):
        model = step(detector(), "weights", seed=seed, criterion=criterion).model
        zeros.append(torch.cat([(layer.weight == 0).flatten() for layer in prunable(model, "backbone").values()]))
    assert torch.equal(zeros[0], zeros[1])
    assert not torch.equal(zeros[0], zeros[2])
    agreement = float((zeros[0] & zeros[3]).sum() / zeros[0].sum())
    assert agreement == pytest.approx(0.3, abs=0.01)


def test_the_generator_of_others_is_left_as_it_was() -> None:
    subject = detector()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    step(subject, "weights", criterion="random")
    assert torch.equal(torch.rand(1), expected)


def test_zeros_outlive_training() -> None:
    subject = step(subject_of(two_layers()), "weights", ratio=0.5, scope="all")
    train_a_step(subject)
    assert subject.model[0].weight.tolist() == [[0, 0], [4, 5]]
    assert subject.model[1].weight.flatten().tolist() == [0, 0, 7, 8]


@pytest.mark.parametrize(
    "wrong", [{"ratio": 1}, {"ratio": -0.1}, {"scope": "tail"}, {"criterion": "l2"}, {"amount": 0.3}], ids=str
)
def test_settings_out_of_range_are_refused_in_one_line(wrong: dict) -> None:
    with refused("recipe/invalid", f"step 1 (weights): {next(iter(wrong))}"):
        step(detector(), "weights", **wrong)


def test_in_each_layer_the_units_of_least_l2_norm_go() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, (1, 2), bias=False), nn.Linear(2, 2), nn.ConvTranspose2d(1, 2, (1, 2)))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0, 3], [0, 5], [4, 0], [1, 4.5]]).view(4, 1, 1, 2))
        model[1].weight.copy_(torch.tensor([[10.0, 10], [9, 9]]))
        model[2].weight.copy_(torch.tensor([[1.0, 1], [2, 2]]).view(1, 2, 1, 2))
    subject = step(subject_of(model), "units", ratio=0.5, scope="all")
    first, second, third = (layer.weight.flatten().tolist() for layer in subject.model)
    assert first == [0, 0, 0, 5, 0, 0, 1, 4.5], "norms sqrt(18), 5, 4, sqrt(21.25)"
    assert second == [10, 10, 0, 0]
    assert third == [0, 0, 2, 2], "its units are in its second dimension"
    assert subject.history == ["4 of 8 units of all zeroed (L2 norm, layer by layer)"]
    train_a_step(subject)
    assert model[0].weight.flatten().tolist() == [0, 0, 1, 6, 0, 0, 2, 5.5], "a unit that stays may use its zero"


def test_every_layer_of_the_scope_gives_its_share_but_outputs() -> None:
    subject = step(detector(), "units", ratio=0.3, scope="both")
    for name, layer in prunable(subject.model, "both").items():
        zeroed = int((layer.weight.flatten(1).abs().sum(1) == 0).sum())
        assert zeroed == (0 if is_output(name) else round(0.3 * len(layer.weight)))


@pytest.mark.parametrize("name", _zoo.names())
def test_outputs_are_what_depends_on_categories_or_gives_boxes(name: str) -> None:
    with torch.device("meta"):
        model, other = _zoo.build(name, 2), _zoo.build(name, 3)
    wider = other.state_dict()
    grown = {key.rpartition(".")[0] for key, value in model.state_dict().items() if value.shape != wider[key].shape}
    outputs = {path for path in prunable(model, "all") if is_output(path)}
    assert grown <= outputs
    widths = {path: model.get_submodule(path).weight.shape[0] for path in outputs - grown}
    assert widths, "boxes, or objectness"
    for path, width in widths.items():
        parts = ("bbox", "regression", "rpn.head.cls_logits")
        assert any(part in path for part in parts), path
        assert width % 4 == 0 or "ctrness" in path or "rpn" in path


def test_a_ratio_of_one_is_refused() -> None:
    with refused("recipe/invalid", "ratio: "):
        step(detector(), "units", ratio=1)


def test_the_slices_of_least_l1_norm_go_wherever_they_are() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 2, (1, 2), bias=False), nn.Conv2d(2, 2, 1, bias=False), nn.Conv2d(2, 2, (2, 1), groups=2)
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -1, 3, 3, 2, 2, 5, 5]).view(2, 2, 1, 2))
        model[1].weight.fill_(0.01)
        model[2].weight.copy_(torch.tensor([0.0, 3.5, 9, 9]).view(2, 1, 2, 1))
    subject = step(subject_of(model), "kernels", ratio=0.5, scope="all")
    assert model[0].weight.flatten().tolist() == [0, 0, 3, 3, 0, 0, 5, 5], "norms 2, 6, 4, 10"
    assert model[2].weight.flatten().tolist() == [0, 0, 9, 9], "norms 3.5, 18"
    assert (model[1].weight == 0.01).all(), "kernels of one weight are left to `weights`"
    assert subject.history == ["3 of 6 kernels of all zeroed (global L1)"]
    train_a_step(subject)
    assert model[2].weight.flatten().tolist() == [0, 0, 10, 10]


def test_the_ratio_is_met_to_one_kernel() -> None:
    subject = step(detector(), "kernels", ratio=0.3)
    layers = [layer for layer in prunable(subject.model, "backbone").values() if layer.weight[0, 0].numel() > 1]
    zeroed = sum(int((layer.weight.abs().sum((2, 3)) == 0).sum()) for layer in layers)
    assert zeroed == round(0.3 * sum(len(layer.weight) * layer.weight.shape[1] for layer in layers))


def test_a_scope_without_kernels_is_refused() -> None:
    with refused("recipe/nothing-to-prune", "'all'"):
        step(subject_of(nn.Linear(2, 2)), "kernels", scope="all")
    with refused("recipe/invalid", "ratio: "):
        step(detector(), "kernels", ratio=1)
