"""A manifest beside a file comes before one inside it, before what the file says; contradictions are named once."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_graphs import LABELS, NAMES, SCORES, ULTRALYTICS, XYXY, graph, yolov8
from refusals import refused

from wildbench.submissions.admission import admit, embed
from wildbench.submissions.manifest import Manifest, manifest_path
from wildbench.submissions.process import Sandbox

LIMITS = {"score_threshold": 0.01, "nms_iou": 0.7, "max_detections": 100}
INPUT = {"resize": "letterbox", "size": [64, 64], "position": "center", "layout": "nchw"}
WHOLE = {"name": "mine", "detector": {"name": "mine"}, "categories": NAMES, "input": INPUT}
WHOLE |= {"output": {"kind": "yolov8"} | LIMITS}


def beside(path: Path, **parts: Any) -> Path:
    manifest_path(path).write_text(json.dumps(parts))
    return path


def ultralytics(path: Path) -> Path:
    return graph(path, {"output0": yolov8()}, metadata=ULTRALYTICS)


def test_a_right_manifest_gives_no_note(tmp_path: Path) -> None:
    """However it says it: by position or name, with columns or without, with other thresholds."""
    path = ultralytics(tmp_path / "a.onnx")
    assert admit(beside(path, **WHOLE)).notes == ()
    boxes = {"output": "output0", "columns": [0, 4], "form": "cxcywh", "candidates": "columns"}
    described = {"kind": "described", "boxes": boxes, "scores": {"columns": [4, 7], "candidates": "columns"}} | LIMITS
    assert admit(beside(path, **WHOLE | {"output": described})).notes == ()
    assert admit(beside(path, **WHOLE | {"input": INPUT | {"size": None}})).notes == ()


def test_names_of_outputs_do_not_say_where_labels_begin(tmp_path: Path) -> None:
    path = graph(tmp_path / "a.onnx", {"boxes": XYXY, "labels": LABELS, "scores": SCORES})
    parts = {"boxes": {"output": "boxes"}, "scores": {"output": "scores"}, "labels": {"output": "labels", "first": 0}}
    assert admit(beside(path, **WHOLE | {"output": {"kind": "described"} | parts})).notes == ()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"categories": ["lion", "zebra", "elephant"]}, "categories.1"),
        ({"categories": [*NAMES, "giraffe"]}, "the number of categories"),
        ({"input": INPUT | {"channels": "bgr"}}, "input.channels"),
        ({"input": INPUT | {"scale": "0-255"}}, "input.scale"),
        ({"input": INPUT | {"resize": "stretch", "position": "top-left"}}, "input.resize"),
        ({"input": INPUT | {"mean": [0.5] * 3, "std": [0.5] * 3}}, "input.mean"),
        ({"output": WHOLE["output"] | {"transposed": True}}, "output.boxes.candidates"),
    ],
)
def test_a_contradiction_is_named_once(tmp_path: Path, change: dict[str, Any], key: str) -> None:
    admitted = admit(beside(ultralytics(tmp_path / "a.onnx"), **WHOLE | change))
    (note,) = admitted.notes
    assert note.startswith("warning manifest-contradiction: manifest beside it (a.manifest.json), against ")
    assert f"{key} is " in note
    stated = Manifest.model_validate(WHOLE | change)
    assert (admitted.manifest.categories, admitted.manifest.output) == (stated.categories, stated.output)


def test_beside_comes_before_inside_comes_before_what_was_read(tmp_path: Path) -> None:
    path = ultralytics(tmp_path / "a.onnx")
    assert admit(path).manifest.name == "a"
    embed(path, Manifest.model_validate(WHOLE | {"name": "inside"}))
    admitted = admit(path)
    assert (admitted.manifest.name, admitted.notes, admitted.origin) == ("inside", (), "manifest: inside it")
    names = ["oryx", "kudu", "gnu"]
    admitted = admit(beside(path, **WHOLE | {"name": "beside", "categories": names}))
    assert (admitted.manifest.name, admitted.manifest.categories, len(admitted.notes)) == ("beside", names, 2)
    assert admit(path, manifest=Manifest.model_validate(WHOLE | {"name": "given"})).manifest.name == "given"


def test_a_part_that_is_left_out_is_read(tmp_path: Path) -> None:
    path = ultralytics(tmp_path / "a.onnx")
    read = admit(path).manifest
    for parts in ({}, {"categories": NAMES}, {"name": "mine"}, {"output": WHOLE["output"]}, {"input": INPUT}):
        admitted = admit(beside(path, **parts))
        stated = json.loads(manifest_path(path).read_text())
        assert admitted.manifest.name == stated.get("name", "a")
        assert admitted.manifest.categories == NAMES
        assert admitted.manifest.input.size == read.input.size
        assert ("completed by" in admitted.origin, admitted.notes) == (True, ())


def test_a_whole_manifest_knows_better_than_damaged_metadata(tmp_path: Path) -> None:
    path = graph(tmp_path / "a.onnx", {"output0": yolov8()}, metadata=ULTRALYTICS | {"names": "{'a': 'b'}"})
    with refused("submission/metadata"):
        admit(beside(path, categories=NAMES))
    assert admit(beside(path, **WHOLE)).notes == ()
    obb = graph(tmp_path / "b.onnx", {"output0": yolov8()}, metadata=ULTRALYTICS | {"task": "obb"})
    assert admit(beside(obb, **WHOLE)).manifest.name == "mine"


def test_an_error_of_a_wrong_manifest_ends_with_what_the_file_says(tmp_path: Path) -> None:
    finished = (np.array([[2]], np.int32), XYXY[None], SCORES[None], LABELS[None].astype(np.int32))
    names = ("num_dets", "det_boxes", "det_scores", "det_classes")
    path = graph(tmp_path / "a.onnx", dict(zip(names, finished, strict=True)))
    beside(path, **WHOLE | {"output": {"kind": "torchvision"}})
    with refused("detector/shape", "EfficientNMS", "'det_boxes'", "leave a part out"), Sandbox(path) as box:
        box.predict(np.zeros((64, 64, 3), np.uint8))


CASES = Path(__file__).parents[3] / "shared" / "cases" / "artifacts"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason=f"{CASES} is not there")

BARE = {"yolov8_metadata_no_manifest": 60, "end2end_n6": 20, "yolov5_decoded_objectness": 57}
PARTIAL = {
    "efficientnms": 20,
    "external_data": 60,
    "fixed_batch_8": 60,
    "names_repeat_NA": 6,
    "nhwc_uint8": 60,
    "one_negative_width": 57,
    "rfdetr_dets_labels": 60,
    "second_input_orig_size": 20,
    "tflite_postprocess_contract": 20,
    "uint8_zero_point_weights": 60,
}
WRONG = {
    "efficientnms": "detector/shape",
    "end2end_n6": "detector/outputs",
    "rfdetr_dets_labels": "detector/shape",
    "second_input_orig_size": "detector/invalid-labels",
    "tflite_postprocess_contract": "detector/shape",
    "yolov5_decoded_objectness": "detector/shape",
}


def copied(folder: Path, name: str) -> Path:
    for file in CASES.glob(f"{name}.*"):
        shutil.copy(file, folder / file.name)
    return folder / f"{name}.onnx"


def detections(path: Path) -> Any:
    with Sandbox(path) as box:
        return box.predict(np.zeros((64, 64, 3), np.uint8)).detections


@needs_cases
@pytest.mark.parametrize("name", BARE | PARTIAL)
def test_handed_files_go_in_with_their_categories_at_most(tmp_path: Path, name: str) -> None:
    path = copied(tmp_path, name)
    sidecar = manifest_path(path)
    if name in PARTIAL:
        categories = json.loads(sidecar.read_text())["categories"]
        beside(path, categories=categories, input={"resize": "letterbox", "position": "center"})
    else:
        sidecar.unlink(missing_ok=True)
    answer = detections(path)
    assert len(answer.scores) == (BARE | PARTIAL)[name]
    assert answer.dropped == (name == "one_negative_width")


@needs_cases
@pytest.mark.parametrize("name", WRONG)
def test_a_handed_manifest_of_a_wrong_kind_is_contradicted(tmp_path: Path, name: str) -> None:
    with refused(WRONG[name], "manifest-contradiction", "leave a part out"):
        detections(copied(tmp_path, name))
