"""Twenty honest submissions: each way in which people make them, small."""

from __future__ import annotations

import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import onnx_files as graphs
from onnx import helper
from onnx_files import HEAD, OPSET, network
from small_networks import MeanDetector, as_ort, constant_detector, manifest, write_export, write_torchscript

BASELINES = Path(__file__).parents[2] / "baselines"
FIXED = {"resize": "stretch", "size": [24, 40], "layout": "nchw"}
Maker = Callable[[Path, Path, Path], Path]
"""Called with a folder, a dense submission and labels; gives the file."""


def bundled(name: str) -> Maker:
    return lambda folder, dense, park: Path(shutil.copy(BASELINES / name, folder))


def compressed(recipe: str, *, calibrated: bool = False) -> Maker:
    """The dense submission after one of the recipes that come with wildbench, which may calibrate on the park."""

    def make(folder: Path, dense: Path, park: Path) -> Path:
        from wildbench.compression.chain import compress

        with warnings.catch_warnings(action="ignore"):
            compress(recipe, dense, folder / "made.pt", dataset=str(park) if calibrated else None, device="cpu")
        return folder / "made.pt"

    return make


def as_it_is(folder: Path, dense: Path, park: Path) -> Path:
    return Path(shutil.copy(dense, folder))


def in_folder(folder: Path, dense: Path, park: Path) -> Path:
    (folder / "detector").mkdir()
    network(folder / "detector")
    (folder / "detector" / "README.md").write_text("A detector.")
    return folder / "detector"


def in_zip(folder: Path, dense: Path, park: Path) -> Path:
    network(folder)
    with zipfile.ZipFile(folder / "detector.zip", "w") as archive:
        archive.write(folder / "evil.onnx", "detector.onnx")
    return folder / "detector.zip"


def with_file(folder: Path, dense: Path, park: Path) -> Path:
    """Weights in a file of their own, as every exporter writes them above 2 GB."""
    graphs.beside(folder)
    return network(
        folder, without=["w"], edit=lambda model: model.graph.initializer.append(graphs.elsewhere("weights.bin"))
    )


def with_function(folder: Path, dense: Path, park: Path) -> Path:
    """A block of layers as a function, as torch.onnx writes them."""

    def edit(model: object) -> None:
        body = [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)]
        graphs.add_function(model, helper.make_function("mine", "Block", ["x", "w"], ["y"], body, [OPSET]))
        model.graph.node[0].CopyFrom(helper.make_node("Block", ["image", "w"], ["c"], domain="mine"))  # type: ignore[attr-defined]

    return network(folder, edit=edit)


def with_choice(folder: Path, dense: Path, park: Path) -> Path:
    """An early exit: small objects are looked for where there is anything bright."""
    branches = [graphs.subgraph([helper.make_node(op, ["c"], ["inner"])], "inner") for op in ("Relu", "Identity")]
    nodes = [
        HEAD[0],
        helper.make_node("ReduceMax", ["image"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "half"], ["bright"]),
        helper.make_node("If", ["bright"], ["d"], then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("ReduceMean", ["d"], ["m"], keepdims=0),
        *HEAD[2:],
    ]
    import numpy as np

    return network(folder, nodes, {"half": np.array(0.5, np.float32)})


def in_halves(folder: Path, dense: Path, park: Path) -> Path:
    """Weights in half precision."""
    import numpy as np

    cast = helper.make_node("Cast", ["w16"], ["w"], to=1)
    return network(folder, [cast, *HEAD], {"w16": graphs.WEIGHT.astype(np.float16)}, without=["w"])


def in_eight_bits(folder: Path, dense: Path, park: Path) -> Path:
    """Weights in eight bits with a scale for each channel."""
    import numpy as np

    scale = np.abs(graphs.WEIGHT).max((1, 2, 3)) / 127
    stored = {"w8": np.rint(graphs.WEIGHT / scale[:, None, None, None]).astype(np.int8), "scale": scale}
    stored["zero"] = np.zeros(8, np.int8)
    node = helper.make_node("DequantizeLinear", ["w8", "scale", "zero"], ["w"], axis=0)
    return network(folder, [node, *HEAD], stored, without=["w"])


def constant(folder: Path, dense: Path, park: Path) -> Path:
    return constant_detector(folder / "constant.onnx")


def ort(folder: Path, dense: Path, park: Path) -> Path:
    return as_ort(constant_detector(folder / "constant.onnx"), folder / "constant.ort")


def script(folder: Path, dense: Path, park: Path) -> Path:
    return write_torchscript(folder / "mean.pt", MeanDetector(), manifest())


def export(folder: Path, dense: Path, park: Path) -> Path:
    return write_export(folder / "mean.pt2", MeanDetector(), manifest(input=FIXED))


def lite(folder: Path, dense: Path, park: Path) -> Path:
    from tiny_graphs import mean_lite

    return mean_lite(folder / "mean.tflite", manifest().to_json())


def openvino(folder: Path, dense: Path, park: Path) -> Path:
    from tiny_graphs import mean_ir

    return mean_ir(folder / "mean.xml", manifest().to_json())


def ncnn(folder: Path, dense: Path, park: Path) -> Path:
    from tiny_graphs import mean_ncnn

    return mean_ncnn(folder / "mean.param", manifest(input={"layout": "chw", "dtype": "float32"}).to_json())


def adapted(folder: Path, dense: Path, park: Path) -> Path:
    (folder / "detector.xyz").write_text("1 2 30 20")
    (folder / "adapter.py").write_text(
        "CATEGORIES = ['zebra', 'lion']\n"
        "def load(path):\n    global box\n    box = [float(side) for side in open(path).read().split()]\n"
        "def predict(image):\n    return [box], ['lion'], [image.mean() / 255]\n"
    )
    return folder / "detector.xyz"


def hugging_face(folder: Path, dense: Path, park: Path) -> Path:
    from hugging_face import hugging_face_folder

    (folder / "yolos").mkdir()
    hugging_face_folder(folder / "yolos" / "model.safetensors")
    return folder / "yolos"


HONEST: dict[str, Maker] = {
    "dense": as_it_is,
    "reference": bundled("reference.pt"),
    "reference-tiny": bundled("reference-tiny.pt"),
    "half": compressed("half"),
    "weights": compressed("unstructured"),
    "kernels": compressed("kernels"),
    "units": compressed("units"),
    "shared": compressed("share"),
    "int8": compressed("int8", calibrated=True),
    "int4": compressed("int4", calibrated=True),
    "onnx": lambda folder, dense, park: network(folder),
    "onnx-in-a-folder": in_folder,
    "onnx-in-a-zip": in_zip,
    "onnx-with-a-file-of-weights": with_file,
    "onnx-with-a-function": with_function,
    "onnx-with-a-choice": with_choice,
    "onnx-in-halves": in_halves,
    "onnx-in-eight-bits": in_eight_bits,
    "onnx-constant": constant,
    "ort": ort,
    "torchscript": script,
    "export": export,
    "litert": lite,
    "openvino": openvino,
    "ncnn": ncnn,
    "adapter": adapted,
    "safetensors": hugging_face,
}
