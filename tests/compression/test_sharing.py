"""Weight sharing: few values, zeros apart, equal through training, and stored without loss."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up_subjects import detector, step, subject_of
from torch import nn

from wildbench.compression.coding._share import clusters, tied
from wildbench.compression.scopes import prunable
from wildbench.compression.subject import Subject
from wildbench.submissions.archive._archive import read_submission, save_submission


def one_layer(weights: torch.Tensor) -> Subject:
    model = nn.Sequential(nn.Linear(weights.shape[1], weights.shape[0], bias=False))
    model[0].weight.data = weights
    return subject_of(model)


def nudge(subject: Subject, seed: int = 0) -> None:
    """As an optimizer's step: every weight goes its own way."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in subject.model.parameters():
        parameter.data += 0.01 * torch.randn(parameter.shape, generator=generator)
    subject.obey()


@pytest.mark.parametrize("bits", range(2, 9))
def test_so_many_values_and_zero_is_one_of_them(bits: int) -> None:
    torch.manual_seed(0)
    weights = torch.randn(64, 100)
    weights[weights.abs() < 0.5] = 0
    zeros = weights == 0
    subject = step(one_layer(weights.clone()), "share", bits=bits, scope="all", small=0)
    shared = subject.model[0].weight
    assert torch.equal(shared == 0, zeros)
    assert 0.6 * 2**bits <= len(shared.unique()) <= 2**bits
    assert len(shared[shared != 0].unique()) <= 2**bits - 1


def test_training_moves_a_cluster_to_its_mean() -> None:
    subject = step(one_layer(torch.tensor([[0.0, 1.0, 1.2], [5.0, 5.2, 0.0]])), "share", bits=2, scope="all", small=0)
    assert subject.model[0].weight.flatten().tolist() == pytest.approx([0, 1.1, 1.1, 5.1, 5.1, 0])
    subject.model[0].weight.data += torch.tensor([[9.0, 1.0, 2.0], [-1.0, 0.0, 9.0]])
    subject.obey()
    weight = subject.model[0].weight
    assert weight.flatten().tolist() == pytest.approx([0, 2.6, 2.6, 4.6, 4.6, 0])
    assert weight[0, 1] == weight[0, 2]


@pytest.mark.parametrize("table", ["layer", "global"])
def test_what_is_equal_stays_equal_to_the_bit(table: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(30, 20), nn.Conv2d(8, 8, 3, groups=8))
    subject = step(
        step(subject_of(model), "weights", ratio=0.5, scope="all"), "share", bits=3, table=table, scope="all", small=0
    )
    layers = prunable(model, "all").values()
    before = [layer.weight.clone() for layer in layers]
    nudge(subject)
    values = set()
    for layer, was in zip(layers, before, strict=True):
        assert torch.equal(layer.weight == 0, was == 0)
        assert not torch.equal(layer.weight, was)
        for value in was.unique():
            assert len(layer.weight[was == value].unique()) == 1
        values |= set(layer.weight.unique().tolist())
        assert len(layer.weight.unique()) <= 8
    assert (len(values) <= 8) == (table == "global")


def test_small_layers_are_shared_more_finely() -> None:
    subject = step(detector(), "share", bits=2, small=1000)
    for layer in prunable(subject.model, "all").values():
        distinct = len(layer.weight.unique())
        assert distinct <= 4 if layer.weight.numel() >= 1000 else distinct > 4 or layer.weight.numel() <= 4


def test_only_the_scope_is_shared() -> None:
    dense, subject = detector(), step(detector(), "share", scope="head")
    changed = {
        name for name, tensor in subject.model.state_dict().items() if not tensor.equal(dense.model.state_dict()[name])
    }
    assert changed == {f"{name}.weight" for name in prunable(dense.model, "head")}


def test_by_the_method_of_brute_force() -> None:
    torch.manual_seed(1)
    weights = torch.randn(3, 50)
    index = clusters([weights], 16)[0]
    means = torch.stack([weights[index == at].mean() for at in range(1, int(index.max()) + 1)])
    nearest = (weights[..., None] - means).abs().argmin(-1) + 1
    assert torch.equal(nearest, index.long())
    assert tied([weights], [index])[0].unique().tolist() == pytest.approx(means.tolist())


def test_stored_without_loss_and_at_its_entropy(tmp_path: Path) -> None:
    subject = step(detector(), "weights", ratio=0.6, scope="all")
    step(subject, "share", bits=5, small=0)
    path, manifest = tmp_path / "shared.pt", subject.manifest
    save_submission(
        subject.model,
        path,
        detector=manifest.detector.name,
        categories=manifest.categories,
        arguments=manifest.detector.arguments,
        codec=subject.codec,
    )
    archive = read_submission(path)
    bytes_, entropy = 0.0, 0.0
    for name in prunable(subject.model, "all"):
        weight = subject.model.get_submodule(name).weight
        assert torch.equal(archive.tensors[f"{name}.weight"], weight)
        if weight.numel() >= 4096:
            assert archive.records[f"{name}.weight"]["codec"] == "codebook"
            shares = np.unique(weight.detach().numpy(), return_counts=True)[1] / weight.numel()
            entropy += -(shares * np.log2(shares)).sum() * weight.numel() / 8
            bytes_ += archive.sizes[f"{name}.weight"]
    assert bytes_ < 1.03 * entropy


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"small": 5}, "weights of all shared by 2 bits, a table a layer, 8 bits in layers of fewer than 5 weights"),
        ({"small": 4}, "weights of all shared by 2 bits, a table a layer"),
        ({"small": 5, "table": "global"}, "weights of all shared by 2 bits, one table"),
        ({"small": 5, "bits": 8}, "weights of all shared by 8 bits, a table a layer"),
    ],
)
def test_finer_tables_of_small_layers_are_told(settings: dict[str, Any], said: str) -> None:
    subject = one_layer(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert step(subject, "share", **{"bits": 2, **settings}).history == [said]
