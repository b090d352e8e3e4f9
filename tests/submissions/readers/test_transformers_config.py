"""Folders of Hugging Face and Optimum: `config.json` and `preprocessor_config.json` beside the network."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_graphs import LABELS, NAMES, SCORES, XYWH, XYXY, graph, image
from refusals import refused

from wildbench.submissions.admission import admit
from wildbench.submissions.process import open_submission

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
PROCESSOR = {"image_processor_type": "RTDetrImageProcessorPil", "size": {"height": 64, "width": 64}, "resample": 2}
PROCESSOR |= {"do_normalize": False}
EDGES = {"size": {"shortest_edge": 800, "longest_edge": 1333}, "image_mean": MEAN, "image_std": STD}


def folder(path: Path, kind: str, background: bool = False, processor: Any = PROCESSOR, **config: Any) -> Path:
    """An export as Optimum writes it."""
    path.mkdir(exist_ok=True)
    columns = len(NAMES) + background
    logits = np.full((1, 2, columns), -20, np.float32)
    logits[0, [0, 1], LABELS] = 0 if background else np.log(SCORES / (1 - SCORES))
    if background:
        logits[0, :, -1] = np.log(1 / SCORES - 1)
    outputs = {"logits": logits, "pred_boxes": XYWH[None] / 64}
    graph(path / "model.onnx", outputs, (1, 3, "height", "width"))
    document = {"model_type": kind, "id2label": {str(number): name for number, name in enumerate(NAMES)}} | config
    (path / "config.json").write_text(json.dumps(document))
    if processor is not None:
        (path / "preprocessor_config.json").write_text(json.dumps(processor))
    return path


@pytest.mark.parametrize(("kind", "background"), [("rt_detr", False), ("detr", True)])
def test_a_folder_needs_no_manifest(tmp_path: Path, kind: str, background: bool) -> None:
    for submission in (folder(tmp_path / "export", kind, background), tmp_path / "export" / "model.onnx"):
        admitted = admit(submission)
        assert (admitted.manifest.categories, admitted.manifest.detector.name) == (NAMES, kind)
        detections = open_submission(admitted).predict(image())
        best = np.argsort(-detections.scores)[:2]
        np.testing.assert_allclose(detections.boxes[best], XYXY, atol=1e-4)
        np.testing.assert_array_equal(detections.labels[best], LABELS + 1)
        np.testing.assert_allclose(detections.scores[best], SCORES, rtol=1e-5)


def test_the_processor_tells_the_input(tmp_path: Path) -> None:
    contract = admit(folder(tmp_path / "a", "detr", True, EDGES)).manifest.input
    assert (contract.resize, contract.shortest_edge, contract.longest_edge) == ("shortest_edge", 800, 1333)
    assert (contract.rounding, contract.mean, contract.std) == ("transformers", tuple(MEAN), tuple(STD))
    contract = admit(folder(tmp_path / "b", "rt_detr", processor=PROCESSOR | {"resample": 3})).manifest.input
    assert (contract.resize, contract.size, contract.interpolation) == ("stretch", (64, 64), "bicubic")
    assert (contract.antialias, contract.mean) == ("pillow", None)
    older = EDGES | {"size": 800, "max_size": 1333}
    assert admit(folder(tmp_path / "d", "detr", True, older)).manifest == admit(tmp_path / "a").manifest
    contract = admit(folder(tmp_path / "c", "yolos", True, EDGES)).manifest.input
    assert (contract.rounding, contract.multiple) == ("yolos", 1)


@pytest.mark.parametrize(
    ("processor", "version", "antialias"),
    [
        ("RTDetrImageProcessorFast", "4.57.6", "torch"),
        ("RTDetrImageProcessorPil", "5.1.0", "pillow"),
        ("RTDetrImageProcessor", "4.57.6", "pillow"),
        ("RTDetrImageProcessor", "5.0.0.dev0", "torch"),
        ("RTDetrImageProcessor", "", "pillow"),
    ],
)
def test_who_resizes(tmp_path: Path, processor: str, version: str, antialias: str) -> None:
    told = PROCESSOR | {"image_processor_type": processor}
    contract = admit(folder(tmp_path / "a", "rt_detr", processor=told, transformers_version=version)).manifest.input
    assert (contract.antialias, contract.resize_dtype) == (antialias, "uint8")
    contract = admit(folder(tmp_path / "a", "rf_detr", processor=told, transformers_version=version)).manifest.input
    assert (contract.antialias, contract.resize_dtype) == ("none", "float32")


def test_as_many_are_kept_as_the_tool_keeps(tmp_path: Path) -> None:
    for kind, most in (("rt_detr", 300), ("deformable_detr", 100)):
        path = folder(tmp_path / kind, kind, num_queries=300)
        assert admit(path).manifest.output.described(["logits", "pred_boxes"]).max_detections == most


def test_another_architecture_is_not_guessed(tmp_path: Path) -> None:
    with refused("submission/no-manifest"):
        admit(folder(tmp_path / "a", "vit"))


@pytest.mark.parametrize(
    "config",
    [
        {"id2label": {"a": "zebra"}},
        {"id2label": {"99999999999": "zebra"}},
        {"id2label": 7},
        {"id2label": {"0": {"1": "zebra"}}},
        {"model_type": ["detr"]},
        {"num_queries": "many"},
        {"num_queries": -5},
    ],
)
def test_a_hostile_configuration_is_one_error(tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its code is checked
        admit(
            folder(tmp_path / "a", **({"kind": "rt_detr"} | config)) if "model_type" not in config else _typed(tmp_path)
        )
    assert getattr(caught.value, "code", repr(caught.value)) in ("submission/metadata", "submission/manifest")


def _typed(path: Path) -> Path:
    export = folder(path / "a", "rt_detr")
    (export / "config.json").write_text('{"model_type": ["detr"], "id2label": {}}')
    return export


@pytest.mark.parametrize(
    "processor",
    [
        {"size": [64, 64]},
        {"size": {"height": "tall", "width": 64}},
        EDGES | {"image_std": [0, 0, 0]},
        EDGES | {"image_mean": "grey"},
        PROCESSOR | {"resample": {}},
    ],
)
def test_a_hostile_processor_is_one_error(tmp_path: Path, processor: dict[str, Any]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its code is checked
        admit(folder(tmp_path / "a", "rt_detr", processor=processor))
    assert getattr(caught.value, "code", repr(caught.value)) in ("submission/metadata", "submission/manifest")


def test_a_damaged_document_is_named(tmp_path: Path) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        path = folder(tmp_path / "a", "rt_detr")
        for text in ("{", "[" * 100_000, '"' + "x" * 2**21 + '"'):
            (path / name).write_text(text)
            with refused("submission/metadata", name):
                admit(path)


def test_a_graph_lies_below_its_configuration_as_on_the_hub(tmp_path: Path) -> None:
    path = folder(tmp_path / "export", "rt_detr")
    whole = admit(path).manifest
    (path / "onnx").mkdir()
    for name in ("model.onnx", "model_quantized.onnx"):
        shutil.copy(path / "model.onnx", path / "onnx" / name)
    (path / "model.onnx").unlink()
    with refused("submission/several-submissions"):
        admit(path)
    assert admit(path / "onnx" / "model.onnx").manifest == whole
    (path / "onnx" / "model_quantized.onnx").unlink()
    assert admit(path).manifest == whole
