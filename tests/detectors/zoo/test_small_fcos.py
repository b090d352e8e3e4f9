"""The backbone is the network that was trained on ImageNet."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional

from wildbench.datasets.images import decode
from wildbench.detectors.zoo._small_fcos import (
    IMAGE_MEAN,
    IMAGE_STD,
    EfficientNetLite0,
    imagenet_weights,
    load_imagenet,
)

IMAGENET_ZEBRA, IMAGENET_GORILLA = 340, 366
CLASSIFIER = ("_conv_head", "_bn1", "_fc")


def test_every_published_tensor_has_its_place() -> None:
    backbone = EfficientNetLite0()
    load_imagenet(backbone)
    published = imagenet_weights()
    left_over = published.keys() - backbone.state_dict().keys()
    assert {name.partition(".")[0] for name in left_over} == set(CLASSIFIER)
    assert all(torch.equal(value, published[name]) for name, value in backbone.state_dict().items())


def test_dropped_blocks_leave_the_rest_as_it_was() -> None:
    whole, part = EfficientNetLite0().eval(), EfficientNetLite0(blocks=13).eval()
    load_imagenet(whole)
    load_imagenet(part)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected, found = whole(image), part(image)
    assert torch.equal(found["8"], expected["8"])
    assert torch.equal(found["16"], expected["16"])
    assert found["32"].shape == (1, 192, 2, 2)
    assert expected["32"].shape == (1, 320, 2, 2)


def test_names_photographs(wildlife_real: Path) -> None:
    """With the classifier's last layers it knows zebras and gorillas: padding, norms and input are right."""
    data = json.loads((wildlife_real / "annotations" / "train.json").read_text())
    names = {image["id"]: image["file_name"] for image in data["images"]}
    backbone = EfficientNetLite0().eval()
    load_imagenet(backbone)
    for category, index in ((3, IMAGENET_ZEBRA), (13, IMAGENET_GORILLA)):
        chosen = sorted({a["image_id"] for a in data["annotations"] if a["category_id"] == category})[:12]
        images = [cv2.resize(decode(wildlife_real / "images" / names[i]), (224, 224)) for i in chosen]
        answers = _classify(backbone, np.stack(images))
        assert (answers == index).sum() >= 6, (category, answers)


def _classify(backbone: EfficientNetLite0, images: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    weights = imagenet_weights()
    norm = [weights[f"_bn1.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    with torch.no_grad():
        features = backbone((x - IMAGE_MEAN[0]) / IMAGE_STD[0])["32"]
        head = functional.batch_norm(functional.conv2d(features, weights["_conv_head.weight"]), *norm, eps=1e-3)
        pooled = functional.relu6(head).mean((2, 3))
        return functional.linear(pooled, weights["_fc.weight"], weights["_fc.bias"]).argmax(1).numpy()
