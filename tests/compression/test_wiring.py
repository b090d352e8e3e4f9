"""What follows what, in networks where it is plain to see."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wildbench.compression.quantization._wiring import watch


class Network(nn.Module):
    """stem, norm, ReLU6 → left and right; left, ReLU → last; right + last is the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4)
        self.left, self.right, self.last = (nn.Conv2d(4, 4, 1) for _ in range(3))
        self.shared, self.one, self.other = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, images: list[Tensor]) -> Tensor:
        x = F.relu6(self.norm(self.stem(images[0][None])), inplace=True)
        left = self.last(F.relu(self.left(x)))
        right = self.right(x) + left
        shared: Tensor = self.one(self.shared(right)) * self.other(self.shared(F.hardswish(right)))
        return shared


def test_results_are_followed() -> None:
    wiring = watch(Network().eval(), torch.rand(3, 8, 8))
    assert wiring.folding() == {"stem": "norm"}, "of two norms none can fold"
    assert wiring.norms["shared"] == {"one", "other"}
    assert wiring.enters == {"stem": {"left", "right"}, "left": {"last"}}
    assert wiring.leaves == {"right", "last", "shared"}


class Clipped(nn.Module):
    """Two layers with something between them that an unsigned grid does not do."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, images: list[Tensor]) -> Tensor:
        out: Tensor = self.two(F.hardtanh(self.one(images[0][None])))
        return out


def test_what_clips_elsewhere_than_at_zero_is_no_rectifier() -> None:
    assert watch(Clipped(), torch.rand(3, 8, 8)).leaves == {"one"}
