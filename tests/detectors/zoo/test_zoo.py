"""Every detector of the zoo keeps torchvision's contract, whatever it starts from."""

from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import get_model_weights

from wildbench.detectors.zoo import _zoo
from wildbench.errors import RecipeError

OURS = ("fcos_efficientnet_lite0_fpn", "maskrcnn_mobilenet_v3_large_fpn")
PUBLISHED = [name for name in _zoo.names() if name not in OURS]


def cheap(name: str) -> dict[str, Any]:
    return dict(_zoo.detector(name).small)


def on_meta(name: str, categories: int, **arguments: Any) -> nn.Module:
    with torch.device("meta"):
        return _zoo.build(name, categories, **arguments)


HEAVY = [name for name in _zoo.names() if name.startswith(("ssd300", "fasterrcnn_resnet50", "maskrcnn_resnet50"))]


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in HEAVY else ()) for n in _zoo.names()])
def test_detects_and_trains(name: str) -> None:
    torch.manual_seed(0)
    detector: Any = _zoo.build(name, 13, **cheap(name)).eval()
    images = [torch.rand(3, 48, 64), torch.rand(3, 64, 64)]
    with torch.no_grad():
        detections = detector(images)
    assert len(detections) == 2
    for image, found in zip(images, detections, strict=True):
        n = len(found["scores"])
        assert n > 0
        assert found["boxes"].shape == (n, 4)
        assert found["boxes"].dtype == torch.float32
        assert found["labels"].shape == (n,)
        assert found["labels"].dtype == torch.int64
        assert 1 <= found["labels"].min() <= found["labels"].max() <= 13
        assert found["scores"].min() >= 0
        assert found["scores"].max() <= 1
        height, width = image.shape[-2:]
        assert (found["boxes"] >= 0).all()
        assert (found["boxes"] <= torch.tensor([width, height, width, height])).all()
        assert ("masks" in found) == _zoo.detector(name).masks
        if _zoo.detector(name).masks:
            assert found["masks"].shape == (n, 1, height, width)

    if hasattr(detector, "roi_heads"):
        detector.roi_heads.fg_bg_sampler.batch_size_per_image = 8
    mask = torch.zeros(1, 48, 64, dtype=torch.uint8)
    mask[:, 4:40, 4:40] = 1
    one = {"boxes": torch.tensor([[4.0, 4, 40, 40]]), "labels": torch.tensor([13]), "masks": mask}
    none = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, 64, 64).byte(),
    }
    losses = detector.train()(images, [one, none])
    loss = torch.stack(list(losses.values())).sum()
    assert torch.isfinite(loss)
    loss.backward()
    gradients = [p.grad for p in detector.parameters() if p.grad is not None]
    assert len(gradients) > 10
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("name", ["fcos_resnet50_fpn", "retinanet_resnet50_fpn", "fcos_efficientnet_lite0_fpn"])
def test_never_answers_background(name: str) -> None:
    detector: Any = _zoo.build(name, 1, **cheap(name)).eval()
    logits = detector.head.classification_head.cls_logits
    with torch.no_grad():
        logits.bias.view(-1, 2)[:, 0] = 9.0  # what torchvision itself would answer as label 0
        found = detector([torch.rand(3, 64, 64)])[0]
    assert len(found["labels"]) > 0
    assert set(found["labels"].tolist()) == {1}


@pytest.mark.parametrize("categories", [1, 13, 91])
@pytest.mark.parametrize("name", _zoo.names())
def test_any_number_of_categories(name: str, categories: int) -> None:
    detector = on_meta(name, categories)
    other = on_meta(name, categories + 1)
    shapes = {key: value.shape for key, value in detector.state_dict().items()}
    wider = {key: value.shape for key, value in other.state_dict().items()}
    assert shapes.keys() == wider.keys()
    grown = {key for key in shapes if shapes[key] != wider[key]}
    assert grown
    for key in grown:  # only the first dimension of prediction layers depends on the number of categories
        assert shapes[key][1:] == wider[key][1:]
        assert shapes[key][0] % (categories + 1) == 0
        assert wider[key][0] // (categories + 2) == shapes[key][0] // (categories + 1)


@pytest.mark.parametrize("name", PUBLISHED)
def test_is_torchvisions_published_network(name: str) -> None:
    parameters = sum(p.numel() for p in on_meta(name, 90).parameters())
    assert parameters == get_model_weights(name).DEFAULT.meta["num_params"]


def test_parts_of_faster_rcnn() -> None:
    """As Detectron2 counts, for 13 categories: no constants, and no box regression for the background."""
    detector: Any = on_meta("fasterrcnn_resnet50_fpn", 13)
    counts = {
        part: sum(p.numel() for p in getattr(detector, part).parameters()) for part in ("backbone", "rpn", "roi_heads")
    }
    boxes_of_background = 4 * (detector.roi_heads.box_predictor.bbox_pred.in_features + 1)
    assert counts["backbone"] == 26_799_296
    assert counts["rpn"] == 593_935
    assert counts["roi_heads"] - boxes_of_background == 13_963_330


@pytest.mark.parametrize("name", ["fcos_efficientnet_lite0_fpn", "fasterrcnn_mobilenet_v3_large_320_fpn"])
def test_state_dict_round_trip(name: str) -> None:
    torch.manual_seed(1)
    first, second = (_zoo.build(name, 5, **cheap(name)).eval() for _ in range(2))
    image = torch.rand(3, 64, 64)
    with torch.no_grad():
        assert not torch.equal(first([image])[0]["scores"], second([image])[0]["scores"])
        second.load_state_dict(first.state_dict(), strict=True)
        ours, theirs = first([image])[0], second([image])[0]
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_imagenet_starts_the_small_backbone() -> None:
    first, second = (_zoo.build("fcos_efficientnet_lite0_fpn", n, init="imagenet", blocks=13) for n in (2, 3))
    body = {key: value for key, value in first.state_dict().items() if key.startswith("backbone.body.")}
    assert len(body) > 100
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in body.items())


@pytest.mark.parametrize(
    ("name", "categories", "arguments", "code"),
    [
        ("yolo", 13, {}, "unknown-detector"),
        ("ssd300_vgg16", 0, {}, "no-categories"),
        ("ssd300_vgg16", 13, {"min_size": 300}, "unknown-argument"),
        ("ssd300_vgg16", 13, {"weights": "COCO_V1"}, "unknown-argument"),
        ("fcos_resnet50_fpn", 13, {"min_size": "800"}, "argument-value"),
        ("fcos_resnet50_fpn", 13, {"min_size": 1.5}, "argument-value"),
        ("fcos_resnet50_fpn", 13, {"score_thresh": -0.1}, "argument-value"),
        ("fcos_resnet50_fpn", 13, {"score_thresh": float("nan")}, "argument-value"),
        ("fcos_resnet50_fpn", 13, {"nms_thresh": float("inf")}, "argument-value"),
        ("fcos_efficientnet_lite0_fpn", 13, {"blocks": 3}, "size"),
        ("fcos_efficientnet_lite0_fpn", 13, {"channels": 2**40}, "size"),
        ("fcos_efficientnet_lite0_fpn", 13, {"depth": 10**9}, "size"),
        ("fcos_efficientnet_lite0_fpn", 13, {"channels": 90}, "size"),
        ("fcos_efficientnet_lite0_fpn", 13, {"init": "coco"}, "unknown-init"),
        ("maskrcnn_mobilenet_v3_large_fpn", 13, {"init": "coco"}, "unknown-init"),
        ("ssd300_vgg16", 13, {"init": "jft"}, "unknown-init"),
    ],
)
def test_what_cannot_be_built_is_refused(name: str, categories: int, arguments: dict[str, Any], code: str) -> None:
    with torch.device("meta"), pytest.raises(RecipeError) as error:
        _zoo.build(name, categories, **arguments)
    assert error.value.code == f"recipe/{code}"
    assert all(key in str(error.value) for key in arguments if key != "init")
