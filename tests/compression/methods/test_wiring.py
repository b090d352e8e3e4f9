"""Which norm follows which layer, and what folding leaves."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.methods._wiring import Wiring, fold_norms, watch
from wildbench.detectors.zoo import _zoo


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


SMALL = {"blocks": 12, "channels": 16, "depth": 1, "min_size": 64, "max_size": 96}


def shuffled_norms(model: nn.Module) -> nn.Module:
    """Norms as training leaves them: of both signs, some far from 1."""
    random = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, FrozenBatchNorm2d)):
            with torch.no_grad():
                for name in ("weight", "bias", "running_mean"):
                    tensor = getattr(module, name)
                    tensor.copy_(torch.randn(tensor.shape, generator=random) + (name == "weight"))
                module.running_var.copy_(torch.rand(module.running_var.shape, generator=random) + 0.2)
    return model.eval()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3),
        nn.Conv2d(4, 6, 3, bias=False),
        nn.Conv2d(4, 8, 3, groups=4, bias=False),
        nn.ConvTranspose2d(4, 6, 2, stride=2),
    ],
    ids=["biased", "unbiased", "grouped", "transposed"],
)
@pytest.mark.parametrize("kind", [nn.BatchNorm2d, FrozenBatchNorm2d])
def test_a_layer_and_its_norm_answer_the_same(layer: nn.Module, kind: Any) -> None:
    model = shuffled_norms(nn.Sequential(layer, kind(layer.out_channels, eps=1e-3)))
    names = list(model.state_dict())
    values = torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        before = model(values)
        assert fold_norms(model, Wiring(norms={"0": {"1"}})) == {"0": "1"}
        after = model(values)
    assert torch.allclose(after, before, rtol=1e-5, atol=1e-5)
    assert list(model.state_dict()) == names
    shift = model[1]
    assert (shift.weight == 1).all()
    assert (shift.running_mean == 0).all()
    assert torch.allclose((shift.running_var + shift.eps).sqrt(), torch.ones(()), rtol=0, atol=1.2e-7)
    with torch.no_grad():
        assert torch.allclose(after, model[0](values) + shift.bias[:, None, None], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (_zoo.SMALL, SMALL),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", {"min_size": 64, "max_size": 96}),
        ("ssdlite320_mobilenet_v3_large", {}),
    ],
)
def test_a_detector_without_its_norms_is_the_same_detector(name: str, arguments: dict[str, int]) -> None:
    torch.manual_seed(0)
    model = _zoo.build(name, 2, **arguments).eval()
    image = torch.rand(3, 64, 96)
    with torch.no_grad():
        before = model.backbone(image[None])
        pairs = fold_norms(model, watch(model, image))
        after = model.backbone(image[None])
    norms = {path for path, module in model.named_modules() if isinstance(module, (nn.BatchNorm2d, FrozenBatchNorm2d))}
    assert set(pairs.values()) == norms, "every norm folded"
    for level, values in before.items():
        assert (after[level] - values).norm() <= 1e-5 * values.norm()
