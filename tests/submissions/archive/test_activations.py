"""Grids of activations: their arithmetic beside ONNX Runtime's, in a file, and files that lie about them."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from refusals import refused
from rich.console import Console
from torch import nn

from wildbench.cli.tables import inspection_tables
from wildbench.detectors.zoo import _zoo
from wildbench.measures.compute._compute import bit_operations
from wildbench.measures.compute._count import Count, operands_of
from wildbench.submissions.archive._archive import read_submission, rebuild, save_submission
from wildbench.submissions.archive._rebuild import Activation, Grid, attach, pack, unpack
from wildbench.submissions.inspection import inspect_submission

NAME = "fcos_efficientnet_lite0_fpn"
ARGUMENTS = {"blocks": 12, "channels": 16, "depth": 1, "min_size": 64, "score_thresh": 0.0}
KEYS: dict[str, Any] = {"detector": NAME, "categories": ["zebra", "lion"], "arguments": ARGUMENTS}
STEM, NORM = "backbone.body._conv_stem", "backbone.body._bn0"
GRIDS = {
    STEM: Activation(input=Grid(8, float(np.float32(0.02)), 128)),
    NORM: Activation(output=Grid(8, float(np.float32(0.05)), 3)),
    "head.classification_head.cls_logits": Activation(Grid(4, 0.25, 0), Grid(8, 0.5, 100)),
}
SITES = {"input": frozenset(["a"]), "output": frozenset(["a", "b"])}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(3)
    return _zoo.build(NAME, 2, **ARGUMENTS).eval()


@pytest.mark.parametrize("grid", [Grid(8, 0.25, 0), Grid(8, 0.03125, 77), Grid(8, float(np.float32(0.0137)), 255)])
def test_a_grid_rounds_as_onnx_runtime_does(grid: Grid) -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0)).numpy() * 5
    scale, zero = numpy_helper.from_array(np.float32(grid.scale), "s"), np.uint8(grid.zero_point)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1000]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], [scale, numpy_helper.from_array(zero, "z")])
    data = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    assert onnx.load_from_string(data)
    (expected,) = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": values})
    found = grid(torch.from_numpy(values)).numpy()
    apart = found != expected
    assert not apart.any() or (apart.mean() < 0.002 and np.allclose(found[apart], expected[apart], atol=grid.scale))


def test_hooks_round_what_enters_and_what_leaves() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 0.75)
    network = nn.Sequential(layer)
    attach(network, {"0": Activation(input=Grid(2, 1.0, 0), output=Grid(4, 0.5, 8))})
    assert network(torch.tensor([[1.4], [9.0], [-2.0]])).flatten().tolist() == [1.0, 2.0, 0.0]  # 0.75 and 2.25
    assert network(torch.zeros(0, 1)).shape == (0, 1), "no proposals is nothing to round"


def test_a_file_keeps_the_grids_and_rounds_by_them(tmp_path: Path, model: nn.Module) -> None:
    written = save_submission(model, tmp_path / "a.pt", **KEYS, activations=GRIDS)
    archive = read_submission(tmp_path / "a.pt")
    assert archive.activations == GRIDS
    assert written.activation_bits == archive.manifest.activation_bits == 8
    assert torch.load(tmp_path / "a.pt", weights_only=True)["version"] == 3
    rebuilt, image = rebuild(archive, "a.pt"), torch.rand(3, 64, 64)
    seen = []
    rebuilt.get_submodule(NORM).register_forward_hook(lambda _, args, result: seen.append(result))
    with torch.no_grad():
        plain = model([image])[0]["scores"]
        assert not torch.equal(rebuilt([image])[0]["scores"], plain)
    codes = seen[0] / np.float32(0.05)
    assert torch.allclose(codes, codes.round(), atol=1e-4)
    assert codes.min() >= -3.001
    save_submission(model, tmp_path / "b.pt", **KEYS)
    assert torch.load(tmp_path / "b.pt", weights_only=True)["version"] == 2, "readers of version 2 read it"


def test_what_the_file_says_is_counted_and_shown(tmp_path: Path, model: nn.Module) -> None:
    path = tmp_path / "a.pt"
    save_submission(model, path, **KEYS, codec={"backbone.*": "int8", "*": "raw"}, activations=GRIDS)
    inspection = inspect_submission(path)
    assert sum(inspection.bytes_by_part.values()) == path.stat().st_size
    assert 0 < inspection.bytes_by_part["activations"] < 300
    operands = operands_of(inspection)
    logits, other = "head.classification_head.cls_logits.weight", "backbone.lateral.0.weight"
    count = Count(by_module={"a": 130}, by_weight={f"{STEM}.weight": 100, logits: 10, other: 5})
    assert bit_operations(count, operands) == 100 * 8 * 8 + 10 * 32 * 4 + 5 * 8 * 32 + 15 * 32 * 32
    assert operands.caution is None, "nobody's word is believed"
    console = Console(width=200)
    with console.capture() as shown:
        console.print(inspection_tables(inspection)[0])
    assert "1 inputs and 2 outputs of layers in 8 bits, 1 inputs and 0 outputs of layers in 4 bits" in shown.get()


def test_a_manifest_that_says_otherwise_is_refused(tmp_path: Path, model: nn.Module) -> None:
    with refused("submission/activation-bits"):
        save_submission(model, tmp_path / "a.pt", **KEYS, activations=GRIDS, activation_bits=4)


def test_grids_that_are_wrong_are_not_saved(tmp_path: Path, model: nn.Module) -> None:
    for grids in (
        {"backbone.body": Activation(input=Grid(8, 1.0, 0))},
        {NORM: Activation(input=Grid(8, 1.0, 0))},
        {STEM: Activation(input=Grid(8, float("nan"), 0))},
        {STEM: Activation(input=Grid(8, 1.0, 256))},
        {STEM: Activation()},
    ):
        with refused("submission/damaged"):
            save_submission(model, tmp_path / "a.pt", **KEYS, activations=grids)
        assert not (tmp_path / "a.pt").exists()


def test_packing_is_exact() -> None:
    grids = {"a": Activation(Grid(8, float(np.float32(1 / 3)), 7), Grid(2, float(np.float32(1e-30)), 3))}
    assert unpack(pack(grids), SITES, "f") == grids


def damaged(change: Callable[[dict[str, Any]], Any]) -> bytes:
    plain = {"a": {"input": [8, 0.5, 0]}, "b": {"output": [8, 0.5, 255]}}
    changed = change(plain)
    return zlib.compress(json.dumps(plain if changed is None else changed).encode())


def test_a_lie_is_one_line() -> None:
    lies = [
        b"",
        b"no deflate",
        zlib.compress(b"{"),
        zlib.compress(bytes(2**22)),
        damaged(lambda plain: []),
        damaged(lambda plain: {}),
        damaged(lambda plain: plain.update(c={"input": [8, 0.5, 0]})),
        damaged(lambda plain: plain["b"].update(input=[8, 0.5, 0])),
        damaged(lambda plain: plain["a"].update(middle=[8, 0.5, 0])),
        damaged(lambda plain: plain.update(a=3)),
        damaged(lambda plain: plain["a"].update(input=[8, 0.5])),
        damaged(lambda plain: plain["a"].update(input=[9, 0.5, 0])),
        damaged(lambda plain: plain["a"].update(input=[True, 0.5, 0])),
        damaged(lambda plain: plain["a"].update(input=[8, "1", 0])),
        *(
            damaged(lambda plain, scale=scale: plain["a"].update(input=[8, scale, 0]))
            for scale in (0, -1.0, float("nan"), float("inf"), 1e39, 1e-46, 10**400)
        ),
        damaged(lambda plain: plain["a"].update(input=[4, 0.5, 16])),
        damaged(lambda plain: plain["a"].update(input=[4, 0.5, -1])),
        damaged(lambda plain: plain["a"].update(input=[4, 0.5, 1.0])),
    ]
    for data in lies:
        with refused("submission/damaged") as caught:
            unpack(data, SITES, "f.pt")
        assert str(caught.value).startswith("f.pt: ")
