import json

import pytest

from wildbench.errors import SubmissionError
from wildbench.submissions.contract._manifest import Manifest, parse_manifest

GOOD = {"name": "tiny", "detector": {"name": "ssd300_vgg16"}, "categories": ["zebra", "lion"]}


def nested(depth: int) -> dict:
    """A dictionary in a dictionary, so many times."""
    return {"in": nested(depth - 1)} if depth else {}


YOLOX = {"kind": "yolox", "strides": [8, 16, 32], "score_threshold": 0.01, "nms_iou": 0.65, "max_detections": 100}


def test_a_manifest_survives_its_json() -> None:
    manifest = parse_manifest(
        GOOD
        | {"category_map": {"lion": "simba"}, "output": YOLOX, "parent": "a" * 64}
        | {"input": {"resize": "letterbox", "size": [416, 320], "mean": [1, 2, 3], "layout": "nchw"}},
        "here",
    )
    assert parse_manifest(manifest.to_json(), "here") == manifest
    assert manifest.input.size == (416, 320)


def test_defaults_are_torchvisions_contract() -> None:
    manifest = parse_manifest(GOOD, "here")
    assert manifest.output.kind == "torchvision"
    assert (manifest.input.layout, manifest.input.scale, manifest.input.channels) == ("list", "0-1", "rgb")


def test_labels_are_named_by_the_map_and_the_others_dropped() -> None:
    assert parse_manifest(GOOD, "").label_names == {1: "zebra", 2: "lion"}
    assert parse_manifest(GOOD | {"category_map": {"lion": "simba"}}, "").label_names == {2: "simba"}


@pytest.mark.parametrize(
    ("change", "key", "problem"),
    [
        ({"name": None}, "name", "valid string"),
        ({"categories": []}, "categories", "at least 1"),
        ({"categories": ["lion", "lion"]}, "categories", "'lion' twice"),
        ({"category_map": {"yak": "lion"}}, "category_map", "'yak', which is none"),
        ({"colour": "red"}, "colour", "Extra inputs"),
        ({"parent": "abc"}, "parent", "pattern"),
        ({"detector": "ssd"}, "detector", "valid dictionary"),
        ({"detector": {"name": "ssd", "arguments": {"at": {1}}}}, "detector.arguments.at", "not a valid JSON value"),
        ({"detector": {"name": "ssd", "arguments": nested(300)}}, "detector.arguments", "Recursion"),
        ({"input": {"resize": "letterbox"}}, "input", "'letterbox' needs `size`"),
        ({"input": {"size": [4, 4]}}, "input", "'none' takes no `size`"),
        ({"input": {"resize": "shortest_edge", "shortest_edge": 800}}, "input", "needs `longest_edge`"),
        ({"input": {"resize": "stretch", "size": [0, 4]}}, "input.size.0", "greater than or equal to 1"),
        ({"input": {"dtype": "uint8"}}, "input", "needs scale '0-255'"),
        ({"input": {"std": [1, 0, 1]}}, "input", "`std` must be positive"),
        ({"input": {"mean": [1, float("nan"), 1]}}, "input.mean.1", "finite"),
        ({"output": {"kind": "yolo"}}, "output", "does not match any of the expected tags"),
        ({"output": {"kind": "yolox"}}, "output.yolox.score_threshold", "Field required"),
        ({"output": YOLOX | {"strides": []}}, "output.yolox.strides", "at least 1"),
        ({"output": YOLOX | {"nms_iou": 1.5}}, "output.yolox.nms_iou", "less than or equal to 1"),
        ({"format": "other"}, "format", "wildbench-submission"),
    ],
)
def test_a_wrong_key_is_named_in_one_line(change: dict, key: str, problem: str) -> None:
    with pytest.raises(SubmissionError) as caught:
        parse_manifest(GOOD | change, "tiny.onnx")
    said = str(caught.value)
    assert said.startswith("tiny.onnx: manifest")
    assert any(f"manifest: {place}" in said for place in (f"{key}: ", f"{key}.", f"`{key}` "))
    assert problem in said
    assert "\n" not in said


@pytest.mark.parametrize("key", ["name", "detector", "categories"])
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(SubmissionError, match=f"manifest: {key}: Field required"):
        parse_manifest({name: value for name, value in GOOD.items() if name != key}, "tiny.onnx")


def test_a_newer_version_is_refused() -> None:
    with pytest.raises(SubmissionError, match=r"version 2 is newer than this wildbench reads .1.; upgrade"):
        parse_manifest(GOOD | {"version": 2, "hologram": True}, "tiny.onnx")


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", b"\xff\xfe", "[" * 100_000])
def test_what_is_no_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(SubmissionError, match=r"tiny\.onnx: the manifest is not"):
        parse_manifest(text, "tiny.onnx")


def test_json_is_sorted_and_ends_in_a_newline() -> None:
    text = Manifest.model_validate(GOOD).to_json()
    assert text.endswith("}\n")
    assert list(json.loads(text)) == sorted(json.loads(text))
