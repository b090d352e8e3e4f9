"""Means of results before and after a change of weights, measured and by the closed form."""

import pytest
import torch
from torch import Tensor, nn

from wildbench.compression.quantization._rounding import mean_inputs, moved


class Applied(nn.Module):
    """A detector that is one layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: list[Tensor]) -> Tensor:
        out: Tensor = self.layer(images[0])
        return out


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(4, 6, 1), (1, 4, 9, 7)),
        (nn.Conv2d(4, 8, 1, groups=2, bias=False), (1, 4, 9, 7)),
        (nn.Conv2d(4, 4, 3, groups=4), (1, 4, 3, 3)),
        (nn.Linear(5, 3), (11, 5)),
    ],
    ids=["convolution", "grouped", "depthwise", "linear"],
)
def test_the_mean_moves_by_so_much(layer: nn.Module, shape: tuple[int, ...]) -> None:
    random = torch.Generator().manual_seed(0)
    images = [torch.rand(shape, generator=random) for _ in range(3)]
    if layer.weight.shape[-1] == 3:  # as many positions for each weight as for its channel's mean
        images = [image.mean((2, 3), keepdim=True).expand(shape) for image in images]
    model = Applied(layer)
    means = mean_inputs(model, images, ["layer"])
    axis = (0, 2, 3) if len(shape) == 4 else (0,)
    assert torch.allclose(means["layer"], torch.stack([image.mean(axis) for image in images]).mean(0), atol=1e-6)

    def result() -> Tensor:
        return torch.stack([model([image]).mean(axis) for image in images]).mean(0)

    with torch.no_grad():
        before = result()
        change = torch.randn(layer.weight.shape, generator=random)
        layer.weight += change
        found = moved(layer, change, means["layer"])
        assert found is not None
        assert torch.allclose(result() - before, found, atol=1e-5)


def test_a_transposed_convolution_is_left_alone() -> None:
    layer = nn.ConvTranspose2d(2, 2, 2, 2)
    assert moved(layer, torch.ones(2, 2, 2, 2), torch.ones(2)) is None
