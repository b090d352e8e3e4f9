"""Three counters beside each other: what each must say by hand, and that a wrong convention or count is caught."""

from dataclasses import replace

import pytest
import torch
import torchvision
from torch import Tensor, nn

from studies.macs.counters import KINDS, REASONS, Audit, Row, audit_counts
from wildbench.measures.compute._torch_counter import RULES, aten


class Mixture(nn.Module):
    """One of each kind that a rule explains, but for the pasting of masks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, groups=2, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.norms = nn.Sequential(nn.BatchNorm2d(4), nn.GroupNorm(2, 4))
        self.resize = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Upsample(scale_factor=2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.norm = nn.LayerNorm(4)
        self.fc = nn.Linear(4, 6)

    def forward(self, image: Tensor) -> Tensor:
        pooled = self.pool(self.resize(self.norms(self.up(self.conv(image)).relu())))
        rows = self.fc(self.norm(pooled.flatten(1)))[None, None]
        attended = nn.functional.scaled_dot_product_attention(rows, rows, rows)[0]
        found: Tensor = attended @ attended.transpose(1, 2)
        return found


def audit(model: nn.Module, *shape: int) -> Audit:
    return audit_counts(model.eval(), (torch.zeros(shape),))


def test_each_counter_says_what_its_convention_gives_by_hand() -> None:
    conv = 2 * 36 * 8 * 2 * 9  # two images, 6 x 6 positions, 8 x (4 / 2) x 3 x 3 weights
    up = 2 * 36 * 8 * 4 * 4  # placed at 6 x 6 positions, 8 x 4 x 2 x 2 weights
    products = 2 * 4 * 6 + 2 * 6 * 2  # a linear layer of two rows, and those rows with each other
    attention = 2 * 2 * 2 * 6
    plane = 2 * 4 * 12 * 12
    by_hand = {
        "convolution": (conv + up, 2 * (conv + up), conv + up),
        "matrix product": (products, 2 * products, products),
        "fused attention": (attention, 2 * attention, 0),
        "batch norm": (0, 0, 2 * plane),
        "group norm": (0, 0, 5 * plane),
        "layer norm": (0, 0, 5 * 2 * 4),
        "bilinear resize": (0, 0, 4 * 4 * plane),
        "nearest resize": (0, 0, 16 * plane),
        "average pool": (0, 0, 16 * plane),
    }
    found = audit(Mixture(), 2, 4, 6, 6)
    assert {row.kind: (row.macs, row.torch_flops, row.fvcore_flops) for row in found.rows} == by_hand
    assert found.unexplained == []
    assert set(found.uncounted) == {"aten::relu"}


def test_every_rule_that_explains_says_so_in_words() -> None:
    assert {rule for kind in KINDS.values() for rule in kind.rules} == set(REASONS)


@pytest.mark.parametrize("name", ["resnet18", "swin_t", "vit_b_16"])
def test_networks_of_other_makes_are_explained_module_by_module(name: str) -> None:
    arguments = {"image_size": 32} if name == "vit_b_16" else {}
    found = audit(torchvision.models.get_model(name, **arguments), 1, 3, 32, 32)
    assert found.unexplained == []
    assert found.modules > 20


def test_a_wrong_convention_is_caught() -> None:
    wrong = {**KINDS, "batch norm": replace(KINDS["batch norm"], fvcore_flops=4)}
    found = audit_counts(Mixture().eval(), (torch.zeros(2, 4, 6, 6),), wrong)
    assert {(row.kind, row.module) for row in found.unexplained} == {("batch norm", ""), ("batch norm", "norms.0")}


@pytest.mark.parametrize("kind", ["batch norm", "convolution", "nearest resize"])
def test_what_no_convention_names_is_unexplained(kind: str) -> None:
    fewer = {name: rule for name, rule in KINDS.items() if name != kind}
    found = audit_counts(Mixture().eval(), (torch.zeros(2, 4, 6, 6),), fewer)
    known = KINDS[kind]
    assert {row.kind for row in found.unexplained} <= {*known.ours, *known.fvcore}
    assert any(row.module == "" for row in found.unexplained)


def test_a_wrong_rule_of_our_own_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = RULES[aten.convolution]
    monkeypatch.setitem(RULES, aten.convolution, lambda args, out: right(args, out) * args[8])  # forgets the groups
    unexplained = audit(Mixture(), 2, 4, 6, 6).unexplained
    assert {(row.kind, row.module) for row in unexplained} == {("convolution", ""), ("convolution", "conv")}


def test_a_borrowed_weight_is_counted_where_it_runs() -> None:
    """torch and fvcore see who runs, and so must we."""

    class Borrower(nn.Module):
        def __init__(self, lender: nn.Linear) -> None:
            super().__init__()
            self.lender = lender

        def forward(self, rows: Tensor) -> Tensor:
            return nn.functional.linear(rows, self.lender.weight)

    found = audit(nn.Sequential(Borrower(nn.Linear(3, 5))), 2, 3)
    assert found.unexplained == []
    assert found.rows == [Row("matrix product", "", 30, 60, 30, ("multiply-add",))]
    assert found.modules == 1
