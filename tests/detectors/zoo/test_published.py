"""torchvision's published weights: what is loaded, what stays random, what is frozen, and that nothing is unpickled."""

import ast
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model_builder, get_model_weights
from torchvision.models.detection.anchor_utils import AnchorGenerator

from wildbench.detectors.zoo import _zoo
from wildbench.detectors.zoo._published import ForegroundRetinaNet, known_categories
from wildbench.errors import DownloadError

PACKAGE = Path(__file__).parents[3] / "wildbench"
SSDLITE = "ssdlite320_mobilenet_v3_large"


def cached(folder: Path, monkeypatch: pytest.MonkeyPatch, weights: Any) -> Path:
    """Where torch looks for these weights before it downloads them."""
    monkeypatch.setenv("TORCH_HOME", str(folder))
    cache = folder / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    return cache / weights.url.rpartition("/")[2]


def made_up(name: str, **arguments: Any) -> dict[str, torch.Tensor]:
    """Random tensors for one of torchvision's networks, batch norm statistics too."""
    torch.manual_seed(2)
    source = get_model_builder(name)(weights=None, **arguments)
    for module in source.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.01, 1.0)
    tensors: dict[str, torch.Tensor] = source.state_dict()
    return tensors


def trained(module: nn.Module) -> dict[str, bool]:
    return {name: parameter.requires_grad for name, parameter in module.named_parameters()}


@pytest.mark.parametrize(
    "name",
    [
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        SSDLITE,
        pytest.param("ssd300_vgg16", marks=pytest.mark.slow),
        pytest.param("fasterrcnn_resnet50_fpn", marks=pytest.mark.slow),
        pytest.param("maskrcnn_resnet50_fpn_v2", marks=pytest.mark.slow),
        pytest.param("retinanet_resnet50_fpn", marks=pytest.mark.slow),
        pytest.param("fcos_resnet50_fpn", marks=pytest.mark.slow),
    ],
)
def test_coco_weights(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(made_up(name, weights_backbone=None), cached(tmp_path, monkeypatch, get_model_weights(name)["COCO_V1"]))
    theirs = get_model_builder(name)(weights="COCO_V1").eval()
    same = _zoo.build(name, 90, init="coco").eval()
    images = torch.rand(1, 3, 300, 300) if name == "ssd300_vgg16" else torch.rand(1, 3, 96, 128)
    with torch.no_grad():  # batch norms were folded: the same function, not the same numbers
        torch.testing.assert_close(dict(same.backbone(images)), dict(theirs.backbone(images)), rtol=1e-4, atol=1e-5)
    whole, expected = same.state_dict(), theirs.state_dict()
    assert all(torch.equal(whole[key], expected[key]) for key in whole if not key.startswith("backbone"))
    assert trained(same) == trained(theirs)

    fewer = _zoo.build(name, 13, init="coco").state_dict()
    replaced = {key for key, value in fewer.items() if value.shape != whole[key].shape}
    assert replaced
    assert all(torch.equal(fewer[key], whole[key]) for key in fewer.keys() - replaced)


@pytest.mark.parametrize(
    ("name", "classifier", "weights"),
    [
        ("fasterrcnn_mobilenet_v3_large_320_fpn", "mobilenet_v3_large", "IMAGENET1K_V1"),
        (SSDLITE, "mobilenet_v3_large", "IMAGENET1K_V1"),
        pytest.param("ssd300_vgg16", "vgg16", "IMAGENET1K_FEATURES", marks=pytest.mark.slow),
        pytest.param("retinanet_resnet50_fpn_v2", "resnet50", "IMAGENET1K_V1", marks=pytest.mark.slow),
    ],
)
def test_imagenet_weights(
    name: str, classifier: str, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = get_model_weights(classifier)[weights]
    source = made_up(classifier)
    torch.save(source, cached(tmp_path, monkeypatch, published))
    theirs = get_model_builder(name)(weights=None, weights_backbone=published, num_classes=14).eval()
    ours: Any = _zoo.build(name, 13, init="imagenet").eval()
    assert trained(ours) == trained(theirs)

    telling = [value for key, value in source.items() if value.ndim == 4 or key.endswith("running_mean")]
    loaded = {
        key: value
        for key, value in theirs.state_dict().items()
        if any(value.shape == one.shape and torch.equal(value, one) for one in telling)
    }
    assert len(loaded) == len(telling)
    state = ours.state_dict()
    narrower = {key for key in loaded if state[key].shape != loaded[key].shape}
    assert all(torch.equal(state[key], loaded[key]) for key in loaded.keys() - narrower)
    assert bool(narrower) == (name == SSDLITE)

    if not narrower:
        image = torch.rand(1, 3, 300, 300) if name == "ssd300_vgg16" else torch.rand(1, 3, 64, 64)
        with torch.no_grad():
            maps, expected = (getattr(one.backbone, "body", one.backbone)(image) for one in (ours, theirs))
        published_maps = list(maps)[:1] if name == "ssd300_vgg16" else list(maps)  # SSD's further layers are random
        for key in published_maps:
            torch.testing.assert_close(maps[key], expected[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("init", "weights"), [("coco", "COCO_V1"), ("imagenet", "IMAGENET1K_V1")])
def test_without_a_network_the_weights_are_named(
    init: str, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(DownloadError) as error:
        _zoo.build(SSDLITE, 13, init=init)
    assert error.value.code == "download/weights"
    assert weights in error.value.what


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(("init", "model"), [("coco", SSDLITE), ("imagenet", "mobilenet_v3_large")])
@pytest.mark.parametrize("truncated", [False, True])
def test_weights_that_run_code_are_refused(
    init: str, model: str, truncated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = get_model_weights(model)["COCO_V1" if init == "coco" else "IMAGENET1K_V1"]
    file = cached(tmp_path, monkeypatch, published)
    torch.save({"conv": Hostile(tmp_path / "ran")}, file)
    if truncated:
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DownloadError) as error:
        _zoo.build(SSDLITE, 13, init=init)
    assert error.value.code == "download/damaged-weights"
    assert str(file) in error.value.remedy
    assert not (tmp_path / "ran").exists()
    if not truncated:
        torch.load(file, weights_only=False)  # what would have run
        assert (tmp_path / "ran").exists()


def test_nothing_in_the_package_unpickles_code() -> None:
    loads = 0
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called, keywords = ast.unparse(node.func), {one.arg: ast.unparse(one.value) for one in node.keywords}
            assert not called.startswith(("pickle.load", "pickle.Unpickler", "cloudpickle.", "dill.")), path
            assert called.rpartition(".")[2] != "load_state_dict_from_url", path
            if called == "torch.load" or called.endswith(".get_state_dict"):
                assert keywords.get("weights_only") == "True", path
                loads += 1
            for weights in keywords.keys() & {"weights", "weights_backbone"}:
                assert keywords[weights] in ("None", weights), path  # torchvision would load them its own way
    assert loads >= 3


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
