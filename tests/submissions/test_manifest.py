import json

import pytest
from refusals import refused

from wildbench.submissions.manifest import Manifest, parse_manifest

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
    assert (manifest.input.layout, manifest.input.scale, manifest.input.channels) == (None, "0-1", "rgb")


def test_labels_are_named_by_the_map_and_the_others_dropped() -> None:
    assert parse_manifest(GOOD, "").label_names == {1: "zebra", 2: "lion"}
    assert parse_manifest(GOOD | {"category_map": {"lion": "simba"}}, "").label_names == {2: "simba"}


def test_names_that_name_nothing_may_repeat_and_have_no_label() -> None:
    names = ["__background__", "zebra", "N/A", "lion", "N/A", "", "", "???", "???", "background"]
    manifest = parse_manifest(GOOD | {"categories": names}, "")
    assert manifest.label_names == {2: "zebra", 4: "lion"}
    mapped = parse_manifest(GOOD | {"categories": names, "category_map": {"lion": "simba"}}, "")
    assert mapped.label_names == {4: "simba"}


def test_the_file_fills_what_the_input_leaves_open() -> None:
    manifest = parse_manifest(GOOD | {"input": {"resize": "stretch", "scale": "0-255"}}, "")
    found = manifest.resolved("a.tflite", layout="nhwc", dtype="uint8", size=(300, 320)).input
    assert (found.layout, found.dtype, found.size) == ("nhwc", "uint8", (300, 320))
    own = {"resize": "stretch", "size": [64, 32], "dtype": "float16", "layout": "chw"}
    stated = parse_manifest(GOOD | {"input": own}, "")
    assert stated.resolved("a.onnx", layout="nchw", dtype="float32", size=(300, 320)) == stated
    plain = parse_manifest(GOOD, "").resolved("a.pt", layout="list", size=(300, 320)).input
    assert (plain.layout, plain.dtype, plain.size) == ("list", "float32", None)


def test_an_input_that_the_file_does_not_complete_is_refused() -> None:
    with refused("submission/size"):
        parse_manifest(GOOD | {"input": {"resize": "letterbox"}}, "").resolved("a.onnx", layout="nchw")
    with refused("submission/manifest"):  # bytes from 0 to 1
        parse_manifest(GOOD, "").resolved("a.tflite", layout="nhwc", dtype="uint8")


def test_keys_that_came_later_are_written_only_where_they_are_used() -> None:
    first = ["channels", "dtype", "interpolation", "layout", "longest_edge", "mean", "pad", "position", "resize"]
    first += ["scale", "shortest_edge", "size", "std"]
    letterbox = {"resize": "letterbox", "size": [640, 640]}
    assert list(json.loads(parse_manifest(GOOD | {"input": letterbox}, "").to_json())["input"]) == first
    later = {"multiple": 32, "enlarge": False, "rounding": "half-up", "mapping": "sides", "resize_dtype": "float32"}
    whole = parse_manifest(GOOD | {"input": letterbox | later | {"antialias": "pillow", "pad": "mean"}}, "")
    written = json.loads(whole.to_json())["input"]
    assert written == written | later
    assert parse_manifest(whole.to_json(), "") == whole


LETTERBOX = {"resize": "letterbox", "size": [64, 64]}
EDGES = {"resize": "shortest_edge", "shortest_edge": 64, "longest_edge": 96}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"name": None}, "name"),
        ({"categories": []}, "categories"),
        ({"categories": ["lion", "lion"]}, "categories"),
        ({"categories": ["N/A", "background"]}, "categories"),
        ({"category_map": {"yak": "lion"}}, "category_map"),
        ({"categories": ["N/A", "lion"], "category_map": {"N/A": "lion"}}, "category_map"),
        ({"colour": "red"}, "colour"),
        ({"parent": "abc"}, "parent"),
        ({"detector": "ssd"}, "detector"),
        ({"detector": {"name": "ssd", "arguments": {"at": {1}}}}, "detector.arguments.at"),
        ({"input": {"size": [4, 4]}}, "input"),
        ({"input": {"resize": "shortest_edge", "shortest_edge": 800}}, "input"),
        ({"input": {"resize": "stretch", "size": [0, 4]}}, "input.size.0"),
        ({"input": {"dtype": "uint8"}}, "input"),
        ({"input": {"std": [1, 0, 1]}}, "input"),
        ({"input": {"mean": [1, float("nan"), 1]}}, "input.mean.1"),
        ({"input": {"multiple": 32}}, "input"),
        ({"input": {"resize": "stretch", "canvas": [64, 64]}}, "input"),
        ({"input": {"resize": "letterbox", "canvas": [64, 64]}}, "input"),
        ({"input": LETTERBOX | {"canvas": [64, 32]}}, "input"),
        ({"input": EDGES | {"canvas": [96, 64]}}, "input"),
        ({"input": LETTERBOX | {"canvas": [64, 64], "multiple": 32}}, "input"),
        ({"input": LETTERBOX | {"rounding": "detr"}}, "input"),
        ({"input": {"rounding": "down"}}, "input"),
        ({"input": EDGES | {"mapping": "ratio"}}, "input"),
        ({"input": EDGES | {"enlarge": False}}, "input"),
        ({"input": {"interpolation": "lanczos"}}, "input"),
        ({"input": {"antialias": "torch", "interpolation": "area"}}, "input"),
        ({"input": {"dtype": "uint8", "scale": "0-255", "resize_dtype": "float32"}}, "input"),
        ({"output": {"kind": "yolo"}}, "output"),
        ({"output": {"kind": "yolox"}}, "output.yolox.score_threshold"),
        ({"output": YOLOX | {"strides": []}}, "output.yolox.strides"),
        ({"output": YOLOX | {"nms_iou": 1.5}}, "output.yolox.nms_iou"),
        ({"format": "other"}, "format"),
    ],
)
def test_a_wrong_key_is_named_in_one_line(change: dict, key: str) -> None:
    with refused("submission/manifest") as caught:
        parse_manifest(GOOD | change, "tiny.onnx")
    message = str(caught.value)
    assert message.startswith("tiny.onnx: manifest")
    assert any(f"manifest: {place}" in message for place in (f"{key}: ", f"{key}.", f"`{key}` "))


def test_a_manifest_that_is_nested_deep_is_refused() -> None:
    with refused("submission/manifest"):
        parse_manifest(GOOD | {"detector": {"name": "ssd", "arguments": nested(300)}}, "tiny.onnx")


def test_what_is_missing_or_newer_or_not_an_object_is_refused() -> None:
    for key in ("name", "detector", "categories"):
        with refused("submission/manifest") as caught:
            parse_manifest({name: value for name, value in GOOD.items() if name != key}, "tiny.onnx")
        assert f"manifest: {key}: " in str(caught.value)
    with refused("submission/newer-version"):
        parse_manifest(GOOD | {"version": 2, "hologram": True}, "tiny.onnx")
    for text in ("", "{", "[1]", "null", b"\xff\xfe", "[" * 100_000):
        with refused("submission/manifest"):
            parse_manifest(text, "tiny.onnx")


def test_json_is_sorted_and_ends_in_a_newline() -> None:
    text = Manifest.model_validate(GOOD).to_json()
    assert text.endswith("}\n")
    assert list(json.loads(text)) == sorted(json.loads(text))
