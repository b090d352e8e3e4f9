"""What Ultralytics and YOLOv5 write about their exports."""

import io
import json
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up_graphs import BY_CLASS, LABELS, NAMES, SCORES, ULTRALYTICS, XYWH, XYXY, YOLOV5, graph, image, rows, yolov8
from refusals import refused

from wildbench.submissions.admission import Admitted, admit
from wildbench.submissions.process import open_submission


def check(admitted: Admitted, scores: Any = SCORES, boxes: Any = XYXY) -> None:
    """It finds the two boxes."""
    detections = open_submission(admitted).predict(image())
    best = np.argsort(-detections.scores)[:2]
    np.testing.assert_allclose(detections.boxes[best], boxes, atol=1e-4)
    np.testing.assert_array_equal(detections.labels[best], LABELS + 1)
    np.testing.assert_allclose(detections.scores[best], scores, rtol=1e-6)


def test_an_export_needs_no_manifest(tmp_path: Path) -> None:
    admitted = admit(graph(tmp_path / "best.onnx", {"output0": yolov8()}, metadata=ULTRALYTICS))
    manifest = admitted.manifest
    assert (manifest.name, manifest.categories, manifest.licence) == ("best", NAMES, "AGPL-3.0")
    assert manifest.detector.name == ULTRALYTICS["description"]
    assert (manifest.input.resize, manifest.input.size, manifest.input.position) == ("letterbox", (64, 64), "center")
    assert admitted.origin.startswith("manifest: read from the file: ")
    assert admitted.notes == ()
    check(admitted)


def test_a_graph_that_ends_with_its_nms_has_finished_rows(tmp_path: Path) -> None:
    values = rows(XYXY, SCORES, LABELS)
    for more in ({"end2end": "True"}, {"args": "{'nms': True, 'batch': 1}"}):
        admitted = admit(graph(tmp_path / "a.onnx", {"output0": values}, metadata=ULTRALYTICS | more))
        assert admitted.manifest.output.described([]).labels is not None
        check(admitted)


def test_masks_and_keypoints_stand_in_further_columns(tmp_path: Path) -> None:
    more = np.full((2, 32), 9, np.float32)
    plain = np.ascontiguousarray(rows(XYWH, BY_CLASS, more).transpose(0, 2, 1))
    for task in ("segment", "pose"):
        check(admit(graph(tmp_path / "a.onnx", {"output0": plain}, metadata=ULTRALYTICS | {"task": task})))
        finished = {"output0": rows(XYXY, SCORES, LABELS, more)}
        about = ULTRALYTICS | {"task": task, "end2end": "True"}
        check(admit(graph(tmp_path / "a.onnx", finished, metadata=about)))


def test_yolov5_has_an_objectness(tmp_path: Path) -> None:
    values = rows(XYWH, [0.5, 0.5], BY_CLASS)
    admitted = admit(graph(tmp_path / "a.onnx", {"output0": values}, metadata=YOLOV5))
    assert (admitted.manifest.detector.name, admitted.manifest.input.mapping) == ("YOLOv5", "center")
    check(admitted, scores=SCORES / 2)


def test_a_free_size_is_padded_to_the_stride(tmp_path: Path) -> None:
    for stride, side in (("32", 640), ("64", 1280)):
        about = YOLOV5 | {"stride": stride}
        path = graph(tmp_path / "a.onnx", {"output0": rows(XYWH, SCORES, BY_CLASS)}, (1, 3, "h", "w"), metadata=about)
        contract = admit(path).manifest.input
        assert (contract.size, contract.multiple) == ((side, side), int(stride))


def test_an_image_size_may_be_one_number(tmp_path: Path) -> None:
    path = graph(tmp_path / "a.onnx", {"output0": yolov8()}, metadata=ULTRALYTICS | {"imgsz": "64"})
    assert admit(path).manifest.input.size == (64, 64)


def test_rtdetr_is_stretched_and_in_fractions(tmp_path: Path) -> None:
    path = graph(
        tmp_path / "a.onnx",
        {"output0": rows(XYWH / 64, BY_CLASS)},
        metadata=ULTRALYTICS | {"description": "Ultralytics RTDETR-l model"},
    )
    admitted = admit(path)
    assert admitted.manifest.input.resize == "stretch"
    check(admitted)


@pytest.mark.parametrize("task", ["obb", "classify", "semantic"])
def test_what_gives_no_upright_boxes_is_no_detector(tmp_path: Path, task: str) -> None:
    with refused("submission/no-detector", task):
        admit(graph(tmp_path / "a.onnx", {"output0": yolov8()}, metadata=ULTRALYTICS | {"task": task}))


def test_names_may_have_gaps_or_be_a_list(tmp_path: Path) -> None:
    gap = ULTRALYTICS | {"names": "{0: 'zebra', 2: 'lion'}"}
    assert admit(graph(tmp_path / "a.onnx", {"output0": yolov8()}, metadata=gap)).manifest.categories == [
        "zebra",
        "N/A",
        "lion",
    ]
    listed = ULTRALYTICS | {"names": str(NAMES)}
    assert admit(graph(tmp_path / "a.onnx", {"output0": yolov8()}, metadata=listed)).manifest.categories == NAMES


HOSTILE = {
    "names": (
        "zebra",
        "{'zebra': 0}",
        "{0: {1: 'zebra'}}",
        "{0: 'zebra', 10**12: 'lion'}",
        "{0: 'zebra', 1000000000000: 'lion'}",
        "{-1: 'zebra'}",
        "7",
        "[" * 5000 + "]" * 5000,
        "'" + "z" * 2**21 + "'",
    ),
    "stride": ("many", "{}", "1e999", "-1", "[32]"),
    "imgsz": ("[64]", "'wide'", "[64, -64]", "[1e999, 64]", "{1: 2}", "10**9", "0.5"),
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in HOSTILE.items() for value in values])
def test_hostile_metadata_is_one_error_or_none(tmp_path: Path, key: str, value: str) -> None:
    """A stride does no harm where the graph's size is fixed."""
    path = graph(tmp_path / "a.onnx", {"output0": yolov8()}, (1, 3, "h", "w"), metadata=ULTRALYTICS | {key: value})
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its code is checked
        admit(path)
    assert getattr(caught.value, "code", repr(caught.value)) in ("submission/metadata", "submission/manifest")
    assert len(str(caught.value)) < 1000


def script(path: Path, records: dict[str, str]) -> Path:
    """TorchScript that answers [1, 4 + C, N]."""

    class Constant(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("values", torch.from_numpy(yolov8()))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.values + 0.0 * images.mean()

    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(Constant(), torch.rand(1, 3, 64, 64)), buffer, _extra_files=records)
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_torchscript_has_it_in_a_record(tmp_path: Path) -> None:
    about = {"description": "Ultralytics YOLO11n", "stride": 32, "task": "detect", "imgsz": [64, 64], "names": NAMES}
    path = script(tmp_path / "a.torchscript", {"config.txt": json.dumps(about)})
    admitted = admit(path)
    assert admitted.manifest.categories == NAMES
    check(admitted)
    with refused("submission/metadata", "config.txt"):
        admit(script(tmp_path / "b.torchscript", {"config.txt": "{" * 100}))
    with refused("submission/no-manifest"):
        admit(script(tmp_path / "c.torchscript", {"config.txt": "[]"}))


BOMB = "a: &a [z]\n" + "".join(f"{b}: &{b} [{f'*{a},' * 9}]\n" for a, b in pairwise("abcdefghi"))
YAML = "description: Ultralytics YOLO11n\nstride: 32\ntask: detect\nimgsz: [64, 64]\nnames: [zebra, lion, elephant]\n"


def test_a_folder_has_it_in_yaml(tmp_path: Path) -> None:
    path = graph(tmp_path / "a.onnx", {"output0": yolov8()})
    (tmp_path / "metadata.yaml").write_text(YAML)
    for one in (path, tmp_path):
        assert admit(one).manifest.categories == NAMES
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "export/a.onnx")
        archive.write(tmp_path / "metadata.yaml", "export/metadata.yaml")
    check(admit(tmp_path / "a.zip"))
    for text in (
        "names: [",
        "a: &a [*a]\nnames: *a\nstride: 1",
        "[" * 3000,
        YAML + BOMB,
        "x: !!python/name:os.system",
    ):
        (tmp_path / "metadata.yaml").write_text(text)
        with refused("submission/metadata", "metadata.yaml"):
            admit(path)
