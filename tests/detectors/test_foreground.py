"""Partial labels: what nobody boxed teaches nothing."""

from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator

from wildbench.detectors.zoo import _zoo
from wildbench.detectors.zoo._published import ForegroundRetinaNet, known_categories


class OneMap(nn.Module):
    """A backbone of one convolution, stride 16."""

    out_channels = 8

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 16, 16)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        return OrderedDict([("0", self.convolution(images))])


def small_retinanet() -> nn.Module:
    anchors = AnchorGenerator(((32,),), ((1.0,),))
    return ForegroundRetinaNet(OneMap(), 5, min_size=64, max_size=64, anchor_generator=anchors)


def small_fcos() -> nn.Module:
    return _zoo.build("fcos_efficientnet_lite0_fpn", 4, blocks=12, channels=16, min_size=64, max_size=64)


@pytest.mark.parametrize("make", [small_fcos, small_retinanet])
def test_unlisted_categories_get_no_gradient(make: Any) -> None:
    torch.manual_seed(0)
    detector: Any = make().train()
    images = list(torch.rand(2, 3, 64, 64))
    boxed = {
        "boxes": torch.tensor([[8.0, 8, 40, 40]]),
        "labels": torch.tensor([2]),
        "known": known_categories({2, 3}, 4),
    }
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64), "known": known_categories({3}, 4)}

    def gradients(targets: list[dict[str, Tensor]]) -> list[float]:
        detector.zero_grad()
        torch.stack(list(detector(images, targets).values())).sum().backward()
        weight = detector.head.classification_head.cls_logits.weight.grad
        return [float(row.abs().sum()) for row in weight.view(-1, 5, *weight.shape[1:]).transpose(0, 1)]

    background, first, second, third, fourth = gradients([boxed, empty])
    assert background == first == fourth == 0.0
    assert second > 0
    assert third > 0
    assert all(gradient == 0 for gradient in gradients([empty, empty])[:3])
    everything = [{key: value for key, value in target.items() if key != "known"} for target in (boxed, empty)]
    assert all(gradient > 0 for gradient in gradients(everything))


def test_listed_categories_keep_their_loss() -> None:
    detector = small_fcos().train()
    image = [torch.rand(3, 64, 64)]
    target = {"boxes": torch.tensor([[8.0, 8, 40, 40]]), "labels": torch.tensor([2])}
    plain = detector(image, [target])
    complete = detector(image, [{**target, "known": known_categories({1, 2, 3, 4}, 4)}])
    partial = detector(image, [{**target, "known": known_categories({2}, 4)}])
    assert partial["classification"] < complete["classification"] < plain["classification"]  # plain has background too
    assert complete["classification"] > 0.5 * plain["classification"]
    assert partial["bbox_regression"] == plain["bbox_regression"]
