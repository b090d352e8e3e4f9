"""Global unstructured pruning: which weights become zero, how many, and that they stay zero."""

import pytest
import torch
from made_up_subjects import detector, step, subject_of, train_a_step
from torch import nn

from wildbench.compression.scopes import prunable
from wildbench.errors import RecipeError


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
    with pytest.raises(RecipeError, match=f"step 1 \\(weights\\): {next(iter(wrong))}") as error:
        step(detector(), "weights", **wrong)
    assert "\n" not in str(error.value)
