import argparse
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refused
from small_networks import manifest
from torch import nn
from torch.nn.utils import prune
from torchvision.models import get_model

from wildbench.submissions.admission import admit
from wildbench.submissions.formats.torchvision_weights import read_weights
from wildbench.submissions.manifest import manifest_path
from wildbench.submissions.process import open_submission
from wildbench.submissions.source import Source

LITE = "ssdlite320_mobilenet_v3_large"
DETECTORS = {
    "fasterrcnn_resnet50_fpn": 5,
    "fasterrcnn_resnet50_fpn_v2": 91,
    "fasterrcnn_mobilenet_v3_large_fpn": 3,
    "maskrcnn_resnet50_fpn": 4,
    "maskrcnn_resnet50_fpn_v2": 91,
    "retinanet_resnet50_fpn": 7,
    "retinanet_resnet50_fpn_v2": 91,
    "fcos_resnet50_fpn": 2,
    "ssd300_vgg16": 91,
    LITE: 6,
}


def small(classes: int = 3, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return get_model(LITE, weights=None, weights_backbone=None, num_classes=classes).eval()


def saved(path: Path, content: Any, **document: Any) -> Path:
    torch.save(content, path)
    manifest_path(path).write_text(manifest(input={}, **document).to_json())
    return path


@pytest.mark.parametrize(("name", "classes"), DETECTORS.items())
def test_the_tensors_tell_the_detector_and_its_classes(name: str, classes: int, tmp_path: Path) -> None:
    with torch.device("meta"):
        model = get_model(name, weights=None, weights_backbone=None, num_classes=classes)
    weights = read_weights(Source.read(_shaped(tmp_path / "a.pth", dict(model.state_dict()))))
    assert weights is not None
    assert name in weights.detectors
    assert weights.classes == classes


def _shaped(path: Path, state: dict[str, torch.Tensor]) -> Path:
    """A state dict of these shapes whose tensors share one storage, which is large enough for the largest."""
    storage = torch.zeros(max(value.numel() for value in state.values()), dtype=torch.int8)
    torch.save({key: storage[: value.numel()].view(value.shape) for key, value in state.items()}, path)
    return path


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"model": state, "args": argparse.Namespace(lr=0.1), "best": np.float64(0.5), "epoch": 3},
    ],
    ids=["bare", "parallel", "checkpoint"],
)
def test_detections_are_torchvisions(wrap: Any, tmp_path: Path) -> None:
    model = small()
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    path = saved(tmp_path / "a.pth", wrap(model.state_dict()))
    found = open_submission(path).predict(image)
    with torch.inference_mode():
        expected = model([torch.from_numpy(image).permute(2, 0, 1) / 255])[0]
    area = ((expected["boxes"][:, 2:] - expected["boxes"][:, :2]) > 0).all(dim=1)
    assert len(found.scores) == int(area.sum()) > 0
    np.testing.assert_allclose(found.scores, expected["scores"][area], atol=1e-5)
    np.testing.assert_allclose(found.boxes, expected["boxes"][area], atol=1e-2)
    np.testing.assert_array_equal(found.labels, expected["labels"][area])


def test_masks_of_pruning_are_applied_and_counted(tmp_path: Path) -> None:
    model = small()
    first = model.backbone.features[0][0][0]
    prune.random_unstructured(first, "weight", amount=0.5)
    path = saved(tmp_path / "a.pth", model.state_dict())
    admitted = admit(path)
    tensors = {tensor.name: tensor for tensor in admitted.listing.tensors or ()}
    layer = tensors["backbone.features.0.0.0.weight"]
    assert (layer.nonzero, layer.elements) == (int(first.weight.count_nonzero()), first.weight.numel())
    assert layer.bytes == 2 * first.weight.numel() * 4
    module: Any = open_submission(admitted).module
    torch.testing.assert_close(module.backbone.features[0][0][0].weight, first.weight, rtol=0, atol=0)


def test_half_precision_is_opened_in_full_and_listed_as_stored(tmp_path: Path) -> None:
    state = {
        key: value.bfloat16() if value.is_floating_point() else value for key, value in small().state_dict().items()
    }
    admitted = admit(saved(tmp_path / "a.pt", state))
    tensors = admitted.listing.tensors or []
    assert {tensor.stored_bits for tensor in tensors if tensor.parameter} == {16}
    assert all(tensor.nonzero == int(state[tensor.name].count_nonzero()) for tensor in tensors)
    module: Any = open_submission(admitted).module
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


def test_cocos_classes_need_no_manifest(tmp_path: Path) -> None:
    torch.save(small(91).state_dict(), tmp_path / "a.pth")
    admitted = admit(tmp_path / "a.pth")
    assert (admitted.manifest.categories[21], admitted.manifest.detector.name) == ("elephant", LITE)
    assert len(admitted.manifest.label_names) == 80


def test_background_is_no_detection(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model: Any = get_model("fcos_resnet50_fpn", weights=None, weights_backbone=None, num_classes=2, min_size=64)
    logits = model.head.classification_head.cls_logits
    nn.init.constant_(logits.bias, 2.0)
    path = saved(
        tmp_path / "a.pth",
        model.state_dict(),
        categories=["zebra"],
        detector={"name": "a", "arguments": {"min_size": 64}},
    )
    found = open_submission(path).predict(np.full((64, 64, 3), 99, np.uint8))
    assert set(found.labels.tolist()) <= {1}


def test_what_does_not_go_with_its_manifest_is_refused(tmp_path: Path) -> None:
    state = small().state_dict()
    with refused("submission/categories"):
        admit(saved(tmp_path / "a.pth", state, categories=["zebra", "lion", "elephant"]))
    with refused("submission/unknown-argument"):
        open_submission(saved(tmp_path / "b.pth", state, detector={"name": "a", "arguments": {"weights": 1}}))
    with refused("submission/tensors"):
        open_submission(
            saved(tmp_path / "c.pth", {key: value for key, value in state.items() if "features.0.4" not in key})
        )
    with torch.device("meta"):
        mobile = get_model("fasterrcnn_mobilenet_v3_large_fpn", weights=None, weights_backbone=None, num_classes=3)
    path = _shaped(tmp_path / "d.pth", dict(mobile.state_dict()))
    manifest_path(path).write_text(manifest(input={}).to_json())
    with refused("submission/ambiguous-detector"):
        admit(path)
    stated = manifest(input={}, detector={"name": "fasterrcnn_mobilenet_v3_large_320_fpn"})
    assert admit(path, manifest=stated).format.name == "torchvision"


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("harmed"),)


def test_nothing_in_a_pickle_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "a.pth", {"model": small().state_dict(), "harm": Harmful()})
    assert open_submission(path).format.name == "torchvision"
    assert not Path("harmed").exists()
    assert pickle.loads(pickle.dumps(Harmful())) is None
    assert Path("harmed").exists()


def test_other_state_dicts_are_not_taken(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "a.pth")
    assert read_weights(Source.read(tmp_path / "a.pth")) is None
    with torch.device("meta"):
        deep = get_model("fasterrcnn_resnet50_fpn", weights=None, weights_backbone=None)
    state = {key.replace("layer3.5", "layer3.6"): value for key, value in deep.state_dict().items()}
    assert read_weights(Source.read(_shaped(tmp_path / "b.pth", state))) is None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.parametrize(
    "name",
    [LITE, "ssd300_vgg16", "fasterrcnn_mobilenet_v3_large_320_fpn", "retinanet_resnet50_fpn", "fcos_resnet50_fpn"],
)
def test_a_script_tells_its_classes(tmp_path: Path, name: str) -> None:
    for classes in (91, 6):
        model = get_model(name, weights=None, weights_backbone=None, num_classes=classes).eval()
        torch.jit.script(model).save(tmp_path / "a.pt")
        if classes == 91:
            assert admit(tmp_path / "a.pt").manifest.categories[23] == "zebra"
        else:
            with refused("submission/no-manifest", "categories"):
                admit(tmp_path / "a.pt")
