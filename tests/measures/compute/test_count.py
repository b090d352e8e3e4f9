"""Compressed layers against closed forms, and against the same layer run on ones with its weights' zeros and ones."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from wildbench.detectors.zoo import _zoo
from wildbench.measures.compute._compute import bit_operations, nonzero_macs
from wildbench.measures.compute._count import NO_NAME, Count, Operands, Weight
from wildbench.measures.compute._torch_counter import count_macs


def weights_of(network: nn.Module, bits: int = 32) -> dict[str, Weight]:
    """The parameters of a network, with their zeros as they are."""
    return {
        name: Weight(tensor.numel(), int(tensor.count_nonzero()), bits) for name, tensor in network.named_parameters()
    }


def sparse(network: nn.Module, density: float) -> nn.Module:
    """Keep this share of every parameter's elements."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.mul_(torch.rand(tensor.shape, generator=generator) < density)
    return network.eval()


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "convolution": (lambda: nn.Conv2d(6, 8, 3), (2, 6, 9, 7), 2 * 7 * 5 * 8 * 6 * 9),
    "strided and dilated": (lambda: nn.Conv2d(6, 8, 3, 2, 0, 2), (2, 6, 9, 9), 2 * 3 * 3 * 8 * 6 * 9),
    "grouped": (lambda: nn.Conv2d(6, 8, 3, groups=2), (1, 6, 5, 5), 9 * 8 * 3 * 9),
    "depthwise": (lambda: nn.Conv2d(6, 6, 3, groups=6), (1, 6, 5, 5), 9 * 6 * 9),
    "pointwise": (lambda: nn.Conv2d(6, 8, 1), (1, 6, 5, 5), 25 * 8 * 6),
    "one axis": (lambda: nn.Conv1d(6, 8, 3), (1, 6, 5), 3 * 8 * 6 * 3),
    "three axes": (lambda: nn.Conv3d(2, 3, 2), (1, 2, 3, 3, 3), 8 * 3 * 2 * 8),
    "transposed": (lambda: nn.ConvTranspose2d(6, 8, 3, 2), (1, 6, 5, 4), 20 * 6 * 8 * 9),
    "transposed, grouped": (lambda: nn.ConvTranspose2d(6, 8, 3, groups=2), (1, 6, 5, 4), 20 * 6 * 4 * 9),
    "linear": (lambda: nn.Linear(6, 8), (5, 6), 5 * 6 * 8),
    "linear of a sequence": (lambda: nn.Linear(6, 8, bias=False), (2, 5, 6), 2 * 5 * 6 * 8),
}
"""Each layer with the shape it is given and its MACs by hand; without padding, whose zeros would not show below."""


def multiplications(layer: nn.Module, shape: tuple[int, ...]) -> int:
    """How many multiplications meet a weight that is not zero: the sum of what the layer makes of ones by 0 or 1."""
    with torch.no_grad():
        ones: Any = type(layer).__new__(type(layer))
        ones.__dict__ = {**layer.__dict__, "_parameters": dict(layer._parameters)}
        ones.weight = nn.Parameter((layer.weight != 0).double())
        ones.bias = None
        return int(ones(torch.ones(shape, dtype=torch.float64)).sum())


@pytest.mark.parametrize("density", [1.0, 0.5, 0.1, 0.0])
@pytest.mark.parametrize("name", LAYERS)
def test_zeros_are_skipped_exactly(name: str, density: float) -> None:
    build, shape, macs = LAYERS[name]
    layer = sparse(build(), density)
    count = count_macs(lambda: layer(torch.zeros(shape)), layer)
    operands = Operands(weights_of(layer))
    assert count.by_weight == {"weight": macs}
    assert nonzero_macs(count, operands) == multiplications(layer, shape)
    weight = operands.weights["weight"]
    assert nonzero_macs(count, operands) * weight.elements == macs * weight.nonzero


@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(8, 8), (4, 8), (16, 16), (3, 5), (32, 32), (1, 1)])
@pytest.mark.parametrize("name", LAYERS)
def test_bit_operations_are_macs_by_both_widths(name: str, weight_bits: int, activation_bits: int) -> None:
    build, shape, macs = LAYERS[name]
    layer = build()
    count = count_macs(lambda: layer(torch.zeros(shape)), layer)
    operands = Operands(weights_of(layer, weight_bits), activation_bits)
    assert bit_operations(count, operands) == macs * weight_bits * activation_bits


def test_bit_operations_are_dense() -> None:
    build, shape, macs = LAYERS["convolution"]
    layer = sparse(build(), 0.1)
    count = count_macs(lambda: layer(torch.zeros(shape)), layer)
    assert bit_operations(count, Operands(weights_of(layer, 8), 8)) == macs * 64


@pytest.mark.parametrize("keep", [1, 4, 6])
def test_whole_filters_of_zeros_save_what_removing_them_saves(keep: int) -> None:
    layer, slim = nn.Conv2d(6, 8, 3), nn.Conv2d(6, keep, 3)
    with torch.no_grad():
        layer.weight[keep:] = 0
    image = torch.zeros(1, 6, 7, 7)
    count = count_macs(lambda: layer(image), layer)
    assert nonzero_macs(count, Operands(weights_of(layer))) == count_macs(lambda: slim(image), slim).macs


class Tiny(nn.Module):
    """A stem, a depthwise block, attention and a classifier: 4-bit, 8-bit and float parts in one network."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 10)

    def forward(self, image: Tensor) -> Tensor:
        rows = self.norm(self.depthwise(self.stem(image))).flatten(2).transpose(1, 2)
        scores = (rows @ rows.transpose(1, 2)).softmax(-1)
        found: Tensor = self.head(scores @ rows)
        return found


def test_a_whole_network_by_hand() -> None:
    network = Tiny().eval()
    count = count_macs(lambda: network(torch.zeros(1, 3, 8, 8)), network)
    stem, depthwise, head = 16 * 4 * 27, 16 * 4 * 9, 16 * 40
    attention = 2 * 16 * 16 * 4
    assert count.by_weight == {"stem.weight": stem, "depthwise.weight": depthwise, "head.weight": head}
    assert count.macs == stem + depthwise + head + attention
    operands = Operands(
        {
            "stem.weight": Weight(108, 108, bits=8),
            "depthwise.weight": Weight(36, 9, bits=4),
            "head.weight": Weight(40, 10, bits=16),
        },
        activation_bits=8,
    )
    assert nonzero_macs(count, operands) == stem + depthwise // 4 + head // 4 + attention
    assert bit_operations(count, operands) == 8 * (stem * 8 + depthwise * 4 + head * 16 + attention * 8)


@pytest.mark.parametrize("name", ["fcos_efficientnet_lite0_fpn", "fasterrcnn_mobilenet_v3_large_320_fpn"])
def test_every_mac_of_a_detector_has_a_stored_weight(name: str) -> None:
    torch.manual_seed(0)
    network = _zoo.build(name, 2, min_size=64, max_size=96).eval()
    count = count_macs(lambda: network([torch.rand(3, 64, 96)]), network)
    assert sum(count.by_weight.values()) == count.macs
    assert count.by_weight.keys() <= network.state_dict().keys()
    assert Operands(weights_of(network)).unknown_in(count) is None


def test_stacked_projections_are_one_weight() -> None:
    """Cross-attention of 3 rows to 5: slices of the stacked weight run 3, 5 and 5 times."""
    layer = nn.MultiheadAttention(4, 2, batch_first=True).eval()
    count = count_macs(lambda: layer(torch.zeros(1, 3, 4), torch.zeros(1, 5, 4), torch.zeros(1, 5, 4)), layer)
    assert count.by_weight == {"in_proj_weight": (3 + 5 + 5) * 16, "out_proj.weight": 3 * 16}
    weights = {"in_proj_weight": Weight(48, 24, 32), "out_proj.weight": Weight(16, 16, 32)}
    products = count.macs - 16 * 16
    assert products == 2 * 3 * 5 * 4
    assert nonzero_macs(count, Operands(weights)) == 13 * 16 / 2 + 3 * 16 + products


def test_a_child_cannot_count_more_by_weight_than_there_is() -> None:
    with pytest.raises(ValidationError) as error:
        Count.model_validate({"by_module": {"a": 1}, "by_weight": {"a.weight": 2}})
    assert [(problem["type"], problem["loc"]) for problem in error.value.errors()] == [("value_error", ())]


def test_a_weight_that_is_made_as_it_runs_is_unnamed() -> None:
    class Decoded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.codes = nn.Parameter(torch.ones(4, 3, 3, 3))

        def forward(self, image: Tensor) -> Tensor:
            return nn.functional.conv2d(image, self.codes * 0.5)

    network = Decoded()
    count = count_macs(lambda: network(torch.zeros(1, 3, 5, 5)), network)
    assert count.by_weight == {NO_NAME: count.macs}
    assert "calculated as it runs" in (Operands(weights_of(network)).unknown_in(count) or "")


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("how", ["script", "export"])
def test_weights_have_their_names_in_graphs_too(how: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(72, 4)).eval()
    image = torch.zeros(1, 3, 5, 5)
    program: Any = torch.jit.script(network) if how == "script" else torch.export.export(network, (image,)).module()
    assert count_macs(lambda: program(image), program).by_weight == {"0.weight": 9 * 216, "2.weight": 288}


@pytest.mark.parametrize(
    ("operands", "count", "says"),
    [
        (Operands(unknown="it is a pickle"), Count(), "it is a pickle"),
        (Operands(), Count(unseen="it bypasses"), "it bypasses"),
        (Operands(), Count(by_module={"a": 1}, by_weight={"a.weight": 1}), "the file stores no weight 'a.weight'"),
        (Operands(), Count(by_module={"a": 1}), None),
    ],
)
def test_what_cannot_be_told_has_a_reason(operands: Operands, count: Count, says: str | None) -> None:
    found = operands.unknown_in(count)
    assert (found is None) == (says is None)
    assert says is None or says in (found or "")
