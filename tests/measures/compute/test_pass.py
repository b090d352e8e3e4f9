"""MACs over a whole pass, also of detectors that take less where they think that they are counted."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import wildbench
from wildbench.scorecard import Scorecard
from wildbench.submissions.manifest import Manifest

SIDE, SMALL, IMAGES = 96, 16, 6
NODE = helper.make_node

Values = dict[str, np.ndarray]


def macs(side: int) -> int:
    """Of a 3 x 3 convolution to four channels."""
    return 4 * 27 * (side - 2) ** 2


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images, each second one dark, each with one zebra."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    coco: dict[str, list[dict[str, object]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "zebra"}],
    }
    for number in range(IMAGES):
        pixels = random.integers(0, 60 if number % 2 else 256, (SIDE, SIDE, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
        coco["images"].append({"id": number, "file_name": f"{number}.png", "width": SIDE, "height": SIDE})
        box = {
            "id": number + 1,
            "image_id": number,
            "category_id": 1,
            "bbox": [0, 0, 50, 50],
            "area": 2500,
            "iscrowd": 0,
        }
        coco["annotations"].append(box)
    path = folder / "images.json"
    path.write_text(json.dumps(coco))
    return path


def submission(folder: Path, nodes: list[onnx.NodeProto], values: Values) -> Path:
    """A graph that finds one box of the value `box`, by 0.9 and nothing of the value `plane`."""
    ending = [
        NODE("ReduceMean", ["plane"], ["mean"], keepdims=0),
        NODE("Mul", ["mean", "nothing"], ["zero"]),
        NODE("Add", ["most", "zero"], ["scores"]),
        NODE("Identity", ["first"], ["labels"]),
        NODE("Identity", ["box"], ["boxes"]),
    ]
    stored = {
        "weight": np.ones((4, 3, 3, 3), np.float32),
        "nothing": np.float32(0),
        "most": np.float32([0.9]),
        "first": np.ones(1, np.int64),
        "one": np.int64([0]),
    }
    stored |= {"box": np.float32([[0, 0, 50, 50]])} | values if "box" not in {n.output[0] for n in nodes} else values
    kinds = {"boxes": TensorProto.FLOAT, "labels": TensorProto.INT64, "scores": TensorProto.FLOAT}
    graph = helper.make_graph(
        [*nodes, *ending],
        "graph",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [3, "h", "w"])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    path = folder / "a.onnx"
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    manifest = {"name": "a", "detector": {"name": "tiny"}, "categories": ["zebra"], "input": {"layout": "chw"}}
    path.with_suffix(".manifest.json").write_text(Manifest.model_validate(manifest).to_json())
    return path


BATCH = NODE("Unsqueeze", ["image", "one"], ["batch"])


def cropping(*condition: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Convolve a corner alone where `condition` makes a true `cond`."""
    return [
        *condition,
        BATCH,
        NODE("Shape", ["batch"], ["whole"]),
        NODE("Where", ["cond", "corner", "whole"], ["end"]),
        NODE("Slice", ["batch", "begin", "end"], ["cut"]),
        NODE("Conv", ["cut", "weight"], ["plane"]),
    ]


CROP: Values = {"corner": np.int64([1, 3, SMALL, SMALL]), "begin": np.int64([0, 0, 0, 0])}
BRIGHT = [
    NODE("ReduceMax", ["image"], ["peak"], keepdims=0),
    NODE("Greater", ["peak", "half"], ["cond"]),
]


def measured(path: Path, dataset: Path) -> Scorecard:
    return wildbench.evaluate(path, dataset=dataset, device="cpu")


def test_one_count_stands_for_each_size_where_the_graph_says_so(tmp_path: Path, dataset: Path) -> None:
    card = measured(submission(tmp_path, [BATCH, NODE("Conv", ["batch", "weight"], ["plane"])], {}), dataset)
    assert card.compute is not None
    assert (card.compute.macs.value, card.compute.macs.n) == (macs(SIDE), IMAGES)
    assert card.accuracy.ap.value == pytest.approx(1)
    verdicts = {audit.name: audit.passed for audit in card.audits}
    assert verdicts["processor-time"] is verdicts["same-pixels"] is verdicts["lowest-bits"] is True
    assert verdicts["answer-times"] is None  # of so few images


def test_a_detector_that_crops_some_images_is_counted_on_all(tmp_path: Path, dataset: Path) -> None:
    path = submission(tmp_path, cropping(*BRIGHT), {**CROP, "half": np.float32(0.5)})
    card = measured(path, dataset)
    assert card.compute is not None
    assert card.compute.macs.n == IMAGES
    assert card.compute.macs.value == (macs(SIDE) + macs(SMALL)) / 2


def drawn(count: int) -> np.ndarray:
    graph = helper.make_graph(
        [NODE("RandomUniform", [], ["draw"], shape=[1], seed=3.0)],
        "graph",
        [],
        [helper.make_tensor_value_info("draw", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.float32([session.run(None, {})[0][0] for _ in range(count)])


def test_a_detector_that_counts_its_calls_is_counted_as_it_ran(tmp_path: Path, dataset: Path) -> None:
    """A seeded generator tells the first six calls, which are the warm-up's, and would be those of a fresh session."""
    condition = [
        NODE("RandomUniform", [], ["draw"], shape=[1], seed=3.0),
        NODE("Sub", ["first draws", "draw"], ["apart"]),
        NODE("Abs", ["apart"], ["distance"]),
        NODE("ReduceMin", ["distance"], ["least"], keepdims=0),
        NODE("Less", ["least", "near"], ["cond"]),
    ]
    values = {**CROP, "first draws": drawn(6), "near": np.float32(1e-8)}
    card = measured(submission(tmp_path, cropping(*condition), values), dataset)
    assert card.compute is not None
    assert (card.compute.macs.value, card.compute.macs.n) == (macs(SIDE), IMAGES)


def test_what_is_drawn_anew_in_each_process_has_no_figure(tmp_path: Path, dataset: Path) -> None:
    condition = [
        NODE("RandomUniform", [], ["draw"], shape=[1]),
        NODE("Less", ["draw", "half"], ["conds"]),
        NODE("Squeeze", ["conds"], ["cond"]),
        NODE("Mul", ["draw", "long"], ["side"]),
        NODE("Concat", ["zeros", "side", "long"], ["row"], axis=0),
        NODE("Unsqueeze", ["row", "one"], ["box"]),
    ]
    values = {**CROP, "half": np.float32([0.5]), "long": np.float32([90]), "zeros": np.zeros(2, np.float32)}
    card = measured(submission(tmp_path, cropping(*condition), values), dataset)
    assert card.compute is not None
    assert card.compute.macs.value is None
    assert "differs from what it found before" in (card.compute.macs.reason or "")
    assert "same-pixels" in {audit.name for audit in card.audits if audit.failed}


def branch(node: onnx.NodeProto, name: str) -> onnx.GraphProto:
    return helper.make_graph([node], name, [], [helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None)])


def test_the_branch_that_runs_is_counted(tmp_path: Path, dataset: Path) -> None:
    nodes = [
        *BRIGHT,
        BATCH,
        NODE(
            "If",
            ["cond"],
            ["plane"],
            then_branch=branch(NODE("Conv", ["batch", "weight"], ["a"]), "bright"),
            else_branch=branch(NODE("Conv", ["batch", "weight"], ["b"], strides=[2, 2]), "dark"),
        ),
    ]
    card = measured(submission(tmp_path, nodes, {"half": np.float32(0.5)}), dataset)
    assert card.compute is not None
    assert card.compute.macs.value == (macs(SIDE) + 4 * 27 * 47**2) / 2


def test_a_loop_is_counted_as_often_as_it_runs(tmp_path: Path, dataset: Path) -> None:
    info: Callable[..., onnx.ValueInfoProto] = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            NODE("Identity", ["go"], ["on"]),
            NODE("Conv", ["batch", "weight"], ["conv"]),
            NODE("ReduceMean", ["conv"], ["each"], keepdims=0),
            NODE("Add", ["sum", "each"], ["next"]),
        ],
        "body",
        [info("round", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("sum", TensorProto.FLOAT, [])],
        [info("on", TensorProto.BOOL, []), info("next", TensorProto.FLOAT, [])],
    )
    nodes = [
        *BRIGHT,
        BATCH,
        NODE("Where", ["cond", "three", "none"], ["rounds"]),
        NODE("Loop", ["rounds", "", "nothing"], ["plane"], body=body),
    ]
    values = {"half": np.float32(0.5), "three": np.int64(3), "none": np.int64(0)}
    card = measured(submission(tmp_path, nodes, values), dataset)
    assert card.compute is not None
    assert card.compute.macs.value == 3 * macs(SIDE) / 2


class Tiring(nn.Module):
    """Convolves a corner alone in its first calls, as many as a warm-up has at least, and after the last of a pass."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        self.calls += 1
        image = images[0]
        if int(self.calls) <= 6 or int(self.calls) > 18 + 8:
            image = image[:, :16, :16]
        score = 0.9 + 0 * self.conv(image[None]).mean()
        boxes, labels = torch.tensor([[0.0, 0.0, 50.0, 50.0]]), torch.ones(1, dtype=torch.int64)
        return [{"boxes": boxes, "labels": labels, "scores": score[None]}]


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_torchscript_that_counts_its_calls_is_counted_as_it_ran(tmp_path: Path, dataset: Path) -> None:
    manifest = {"name": "a", "detector": {"name": "tiny"}, "categories": ["zebra"], "input": {"layout": "list"}}
    document = Manifest.model_validate(manifest).to_json()
    script = torch.jit.script(Tiring().eval())
    torch.jit.save(script, tmp_path / "a.pt", _extra_files={"manifest.json": document})
    card = wildbench.evaluate(tmp_path / "a.pt", dataset=dataset, device="cpu")
    assert card.compute is not None
    assert (card.compute.macs.value, card.compute.macs.n) == (macs(SIDE), IMAGES)
    assert card.told == ["execution", "latency.device", "latency.stages", "compute"]
