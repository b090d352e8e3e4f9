"""What can be told of a file that has no manifest: each output by its own form, and the gaps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from commands import Run, runner
from onnx import TensorProto, helper, numpy_helper
from small_networks import beside, write_torchscript

from wildbench.errors import OutputError, SubmissionError
from wildbench.submissions.admission import admit
from wildbench.submissions.decode import decode
from wildbench.submissions.manifest import Manifest, manifest_path
from wildbench.submissions.survey import Survey, survey
from wildbench.submissions.survey._draft import read_outputs
from wildbench.submissions.survey._probe import Probe, describe

CANVAS = (64, 64)
RANDOM = np.random.default_rng(0)
COUNT, CATEGORIES = 20, 3
CENTRES = np.concatenate([RANDOM.uniform(16, 48, (COUNT, 2)), RANDOM.uniform(8, 24, (COUNT, 2))], axis=1)
CORNERS = np.concatenate([CENTRES[:, :2] - CENTRES[:, 2:] / 2, CENTRES[:, :2] + CENTRES[:, 2:] / 2], axis=1)
SCORES = RANDOM.uniform(0.02, 0.9, (COUNT, CATEGORIES))
OBJECT = RANDOM.uniform(0.3, 0.95, (COUNT, 1))
BEST, TOP = SCORES.argmax(axis=1), SCORES.max(axis=1)


def rows(*parts: np.ndarray) -> np.ndarray:
    return np.concatenate([part.reshape(COUNT, -1) for part in parts], axis=1).astype(np.float32)


LOGITS = np.log(SCORES / (1 - SCORES)).astype(np.float32)
OUTPUTS: dict[str, tuple[dict[str, np.ndarray], bool]] = {
    "v8": ({"out": rows(CENTRES, SCORES).T[None]}, False),
    "v8 with corners": ({"out": rows(CORNERS, SCORES).T[None]}, False),
    "v5": ({"out": rows(CENTRES, OBJECT, SCORES)[None]}, True),
    "finished": ({"out": rows(CORNERS, TOP, BEST)[None]}, False),
    "v7": ({"out": rows(np.zeros(COUNT), CORNERS, BEST, TOP)}, False),
    "detection output": ({"out": rows(np.zeros(COUNT), BEST, TOP, CORNERS / 64)[None, None]}, False),
    "apart": ({"boxes": rows(CORNERS)[None], "scores": rows(SCORES)[None]}, False),
    "fractions": ({"dets": rows(CENTRES / 64)[None], "labels": LOGITS[None]}, False),
    "counted": (
        {
            "count": np.array([[COUNT]], np.int32),
            "boxes": rows(CORNERS)[None],
            "scores": TOP.astype(np.float32)[None],
            "classes": BEST.astype(np.int32)[None],
        },
        False,
    ),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_are_read_as_what_they_hold(name: str) -> None:
    """The contract gives back the boxes, best labels and scores that the arrays were made from."""
    outputs, objectness = OUTPUTS[name]
    contract, count, _ = read_outputs(describe(outputs, outputs, CANVAS))
    assert contract is not None
    assert count in (None, CATEGORIES)
    contract |= {"multi_label": False, "nms_iou": None, "score_threshold": 0.0, "max_detections": 100}
    document = {"name": "a", "detector": {"name": "a"}, "categories": ["x", "y", "z"], "output": contract}
    found = decode(Manifest.model_validate(document), outputs, CANVAS)
    scores = TOP * OBJECT[:, 0] if objectness else TOP
    order = np.argsort(-scores)
    np.testing.assert_allclose(found.scores, scores[order], rtol=1e-4)
    np.testing.assert_allclose(found.boxes, CORNERS[order], atol=1e-3)
    np.testing.assert_array_equal(found.labels, BEST[order] + 1)


def test_undecoded_levels_are_those_of_yolox() -> None:
    generator = np.random.default_rng(0)
    boxes, rest = generator.normal(0, 2, (1, 84, 4)), generator.uniform(0, 1, (1, 84, 6))
    outputs = {"out": np.concatenate([boxes, rest], axis=2).astype(np.float32)}
    contract, count, _ = read_outputs(describe(outputs, outputs, CANVAS))
    assert contract is not None
    assert (contract["kind"], contract["strides"], count) == ("yolox", [8, 16, 32], 5)


def test_what_fits_nothing_is_said_to() -> None:
    for outputs in ({"a": np.zeros((1, 85, 8, 8), np.float32)}, {"a": np.array([[np.nan, 1, 2, 3, 4]] * 9)}):
        contract, _, gap = read_outputs(describe(outputs, outputs, CANVAS))
        assert contract is None
        assert gap
    assert read_outputs(Probe())[2] != ""


def graph(path: Path, outputs: dict[str, np.ndarray], **properties: str) -> Path:
    """Constant outputs, whatever the picture."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, values.shape) for name, values in outputs.items()]
    nodes = [helper.make_node("Identity", [f"{name}_c"], [name]) for name in outputs]
    stored = [numpy_helper.from_array(values, f"{name}_c") for name, values in outputs.items()]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, *CANVAS))
    model = helper.make_model(
        helper.make_graph(nodes, "constant", [image], ends, stored),
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    helper.set_model_props(model, properties)
    onnx.save(model, path)
    return path


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return graph(tmp_path / "bare.onnx", OUTPUTS["v8"][0])


def test_without_a_manifest_there_is_the_nearest_one_with_its_gaps(bare: Path) -> None:
    seen = survey(bare)
    assert seen.draft is not None
    assert set(seen.draft.gaps) == {"categories", "input"}
    assert seen.draft.document["categories"] == ["???"] * CATEGORIES
    assert seen.draft.document["output"]["boxes"] == {
        "columns": [0, 4],
        "form": "cxcywh",
        "unit": "pixels",
        "candidates": "columns",
    }
    assert seen.probe is not None
    assert not seen.probe.moved


def test_what_is_written_is_refused_until_it_is_completed(bare: Path) -> None:
    path = survey(bare).write_manifest()
    assert path == manifest_path(bare)
    with pytest.raises(SubmissionError) as caught:
        admit(bare)
    assert caught.value.code == "submission/manifest"
    with pytest.raises(OutputError) as again:
        survey_of_another(bare).write_manifest()
    assert again.value.code == "output/exists"
    document = json.loads(path.read_text())
    document |= {"categories": ["zebra", "lion", "elephant"]}
    document["input"] = {"resize": "stretch", "channels": "rgb", "scale": "0-1"}
    path.write_text(json.dumps(document))
    assert admit(bare).manifest.categories == ["zebra", "lion", "elephant"]


def survey_of_another(path: Path) -> Survey:
    """As if the manifest beside it were not there yet."""
    hidden = path.with_suffix(".hidden")
    manifest_path(path).rename(hidden)
    seen = survey(path)
    hidden.rename(manifest_path(path))
    return seen


def test_a_manifest_that_was_read_is_written_whole(tmp_path: Path) -> None:
    names = str({0: "zebra", 1: "lion", 2: "elephant"})
    told = {"names": names, "stride": "32", "task": "detect", "imgsz": "[64, 64]", "description": "YOLO"}
    path = graph(tmp_path / "told.onnx", OUTPUTS["v8"][0], **told)
    seen = survey(path)
    assert seen.draft is None
    before = admit(path).manifest
    seen.write_manifest()
    assert admit(path).manifest == before


def test_labels_that_begin_at_0_are_seen(tmp_path: Path) -> None:
    labels, scores = BEST.astype(np.float32), TOP.astype(np.float32)
    path = graph(tmp_path / "zero.onnx", {"boxes": rows(CORNERS), "labels": labels, "scores": scores})
    seen = survey(path)
    assert seen.draft is not None
    assert seen.draft.document["output"]["labels"]["first"] == 0


def test_a_map_of_raw_boxes_after_an_object_is_taken_for_fastestdets(tmp_path: Path) -> None:
    boxes, scores = RANDOM.normal(0, 3, (4, 4, 4)), RANDOM.dirichlet(np.ones(80), (4, 4)).transpose(2, 0, 1)
    answer = np.concatenate([RANDOM.uniform(0, 1, (1, 4, 4)), boxes, scores])[None].astype(np.float32)
    draft = survey(graph(tmp_path / "a.onnx", {"758": answer})).draft
    assert draft is not None
    output = draft.document["output"]
    assert (output["boxes"]["form"], output["levels"]) == ("fastestdet", {"strides": [16]})
    assert (len(draft.document["categories"]), "COCO" in draft.gaps["categories"]) == (80, True)


def test_a_manifest_that_its_answers_contradict_is_named(tmp_path: Path) -> None:
    path = graph(tmp_path / "corners.onnx", OUTPUTS["v8 with corners"][0])
    output = {"kind": "yolov8", "score_threshold": 0.01, "nms_iou": 0.7, "max_detections": 100}
    seen = survey(beside(path, categories=["a", "b", "c"], output=output, input={"resize": "stretch"}))
    assert [note.split(":")[0] for note in seen.notes] == ["warning box-form"]


def test_what_can_run_code_is_run_behind_walls(tmp_path: Path) -> None:
    from small_networks import MeanDetector, manifest

    path = write_torchscript(tmp_path / "mean.pt", MeanDetector(), manifest())
    probe = survey(path).probe
    assert probe is not None
    assert len(probe.outputs) == 3
    assert survey(path, run=False).probe is None


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs a command in this process and an empty folder."""
    return runner(monkeypatch, capsys, tmp_path)


def lines_of(text: str, *words: str) -> list[str]:
    return [line for line in text.splitlines() if all(word in line for word in words)]


def test_inspect_prints_it(run: Run, bare: Path, tmp_path: Path) -> None:
    result = run("inspect", bare, "--write-manifest")
    assert result.status == 0, result.stderr
    assert lines_of(result.stdout, "output", "1 x 7 x 20", "float32")
    assert lines_of(result.stdout, "0-3", "centres", "pixels")
    assert lines_of(result.stdout, "4-6", "0 to 1")
    assert lines_of(result.stdout, "categories", "??? x 3")
    assert lines_of(result.stdout, "opset", "17")
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 100
    assert (tmp_path / "bare.manifest.json").exists()
    run("inspect", bare).refused("bare.manifest.json", "???", "submission/manifest")


def test_evaluate_ends_with_the_outputs_and_where_to_look(run: Run, bare: Path) -> None:
    run("evaluate", bare).refused("out float32 [1, 7, 20]", "wildbench inspect bare.onnx", "submission/no-manifest")


def test_evaluate_keeps_what_it_read_too(run: Run, bare: Path, tmp_path: Path) -> None:
    run("evaluate", bare, "--write-manifest").refused("???", "submission/manifest")
    assert (tmp_path / "bare.manifest.json").exists()


REFUSED: dict[str, Any] = {"tiny.rknn": b"RKNN", "model.pb": b"\x08\x01\x12\x00"}


@pytest.mark.parametrize("name", REFUSED)
def test_a_foreign_file_is_named(name: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(REFUSED[name])
    run("inspect", name).refused(name, "submission/not-taken")
