"""What `model_info` says: OpenVINO's Model API, and OTX."""

from pathlib import Path

import numpy as np
import pytest

from tests.submissions import made_up_graphs as made
from wildbench.errors import SubmissionError
from wildbench.submissions.admission import admit
from wildbench.submissions.manifest import Manifest

OTX = {
    **{"model_type": "ssd", "otx_version": "2.6.0", "labels": "zebra lion elephant", "resize_type": "standard"},
    **{"mean_values": "127.5 127.5 127.5", "scale_values": "2", "reverse_input_channels": "False"},
}
YOLO = {"model_type": "YOLOv8", "labels": "zebra lion elephant"}
FIVE = {"boxes": made.rows(made.XYXY, made.SCORES), "labels": made.LABELS[None]}
HEAD = {"output0": made.yolov8()}


def read(folder: Path, told: dict[str, str], outputs: dict[str, np.ndarray]) -> Manifest:
    metadata = {f"model_info {key}": text for key, text in told.items()}
    return admit(made.graph(folder / "a.onnx", outputs, metadata=metadata)).manifest


def test_boxes_with_their_scores_of_otx(tmp_path: Path) -> None:
    manifest = read(tmp_path, OTX, FIVE)
    assert manifest.categories == made.NAMES
    assert (manifest.input.resize, manifest.input.channels, manifest.input.scale) == ("stretch", "rgb", "0-255")
    assert (manifest.input.mean, manifest.input.std) == ((127.5, 127.5, 127.5), (2, 2, 2))
    output = manifest.output.described(list(FIVE))
    assert output.labels is not None
    assert (output.boxes.columns, output.scores.columns, output.labels.first) == ((0, 4), (4, 5), 0)
    assert (output.boxes.unit, output.nms_iou) == ("pixels", None)


@pytest.mark.parametrize(
    ("outputs", "boxes"),
    [
        ({"bboxes": made.XYXY[None] / 64, "scores": made.SCORES[None], "labels": made.LABELS[None]}, "bboxes"),
        ({"out": made.rows([0, 0], made.LABELS, made.SCORES, made.XYXY / 64)[None]}, 0),
    ],
)
def test_boxes_as_fractions(tmp_path: Path, outputs: dict[str, np.ndarray], boxes: str | int) -> None:
    suppressed = OTX | {"nms_execute": "YES", "iou_threshold": "0.4", "agnostic_nms": "YES"}
    output = read(tmp_path, suppressed, outputs).output.described(list(outputs))
    assert output.labels is not None
    assert (output.boxes.output, output.boxes.unit, output.labels.first) == (boxes, "fractions", 0)
    assert (output.nms_iou, output.class_agnostic) == (0.4, True)


def test_a_yolo_takes_the_defaults_of_its_wrapper(tmp_path: Path) -> None:
    manifest = read(tmp_path, YOLO, HEAD)
    assert (manifest.input.resize, manifest.input.position, manifest.input.pad) == ("letterbox", "center", 114)
    assert (manifest.input.channels, manifest.input.scale, manifest.input.mean) == ("rgb", "0-1", None)
    output = manifest.output.described(list(HEAD))
    assert (output.boxes.form, output.scores.candidates, output.nms_iou) == ("cxcywh", "columns", 0.7)
    assert not output.multi_label


@pytest.mark.parametrize(
    ("told", "channels"),
    [
        ({"reverse_input_channels": "True"}, "bgr"),
        ({"otx_version": "", "reverse_input_channels": "True"}, "rgb"),
        ({"otx_version": "None"}, "bgr"),
    ],
)
def test_otx_gives_rgb_and_model_api_bgr(tmp_path: Path, told: dict[str, str], channels: str) -> None:
    assert read(tmp_path, OTX | told, FIVE).input.channels == channels


def test_what_is_in_the_graph_is_not_done_again(tmp_path: Path) -> None:
    inside = {"embedded_processing": "YES", "orig_height": "32", "orig_width": "48", "resize_type": "fit_to_window"}
    contract = read(tmp_path, OTX | inside | {"otx_version": ""}, FIVE).input
    assert (contract.resize, contract.mean, contract.scale, contract.channels) == ("letterbox", None, "0-255", "bgr")


def test_a_scale_to_one(tmp_path: Path) -> None:
    unit = {"intensity_mode": "scale_to_unit", "mean_values": "0.5", "scale_values": "0.5"}
    contract = read(tmp_path, OTX | unit, FIVE).input
    assert (contract.scale, contract.mean) == ("0-1", (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    "told",
    [{"resize_type": "crop"}, {"intensity_mode": "window"}, {"input_dtype": "u16"}, {"model_type": "MaskRCNN"}],
)
def test_what_is_no_detector_of_grey_levels_is_asked_for(tmp_path: Path, told: dict[str, str]) -> None:
    with pytest.raises(SubmissionError) as error:
        read(tmp_path, OTX | told, FIVE)
    assert error.value.code == "submission/no-manifest"


@pytest.mark.parametrize("told", [{"mean_values": "grey"}, {"pad_value": "x", "resize_type": "fit_to_window"}])
def test_damage_is_named(tmp_path: Path, told: dict[str, str]) -> None:
    with pytest.raises(SubmissionError) as error:
        read(tmp_path, OTX | told, FIVE)
    assert error.value.code == "submission/metadata"
