"""Tiny ONNX graphs with the output contracts of exporters that have no packages, read as the exporters read them.

Each contract is a network's answer, how pictures are prepared for it, and its published post-processing in torch.
"""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import contract_networks as nets
import numpy as np
import onnx
import onnxruntime
import tiny_nets as tiny
import torch
from bench import Bench
from contract_networks import SIZE
from contract_others import CAMERA_TRAPS, CUSTOM_VISION, OTHERS
from contract_terms import Contract, Way
from contract_yolos import YOLOS
from torch import Tensor
from torchvision.models._meta import _COCO_CATEGORIES

FASTESTDET_FILE = Path(__file__).resolve().parents[4] / "shared" / "cases" / "artifacts" / "FastestDet.onnx"
COCO = tuple(name for name in _COCO_CATEGORIES if name not in ("__background__", "N/A"))


class Workshop(Bench):
    """Builds the graphs, and reads them with onnxruntime and torch."""

    def __init__(self) -> None:
        super().__init__("contracts", "onnx", onnx.__version__)
        self.images = {path.name: tiny.read(path) for path in self.pictures}

    def make(self, name: str, contract: Contract) -> None:
        """Make one artifact, unless it is there or not wanted."""
        if not self.wants(name):
            return
        with self.artifact(name) as folder:
            path = folder / contract.file
            path.parent.mkdir(exist_ok=True)
            self.export(path, contract)
            for other, text in contract.beside.items():
                (folder / other).write_text(text, encoding="utf-8")
            self.run(name, path, contract)

    def export(self, path: Path, contract: Contract) -> None:
        """Write the graph."""
        torch.manual_seed(14)
        prepared = [contract.way.apply(image)[0] for image in self.images.values()]
        heads = nets.heads(prepared, *contract.numbers)
        last = contract.layout == "nhwc"
        network = nets.Network(contract.answer, heads, 1 / 255 if last else 1.0, last).eval()
        others = {"im_shape": torch.tensor([[SIZE, SIZE]]).float(), "scale_factor": torch.tensor([[0.5, 0.25]])}
        example = prepared[0].expand(contract.batch, -1, -1, -1).contiguous()
        if last:
            example = (example * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        names = sorted([contract.image, *contract.second], key=lambda one: one == "scale_factor")
        arguments = tuple(others.get(one, example) for one in names)
        if names[0] == "im_shape":  # PaddleDetection's order of inputs
            inner = network
            network = Reordered(inner)
        torch.onnx.export(
            network,
            arguments,
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=names,
            output_names=list(contract.outputs),
            dynamic_axes={contract.image: {2: "height", 3: "width"}} if contract.dynamic else None,
        )
        model = onnx.load(path)
        onnx.helper.set_model_props(model, dict(contract.metadata))
        onnx.save(model, path)

    def run(self, name: str, path: Path, contract: Contract) -> None:
        """Read it as its own exporter's code does, and keep it."""
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        rows = {}
        for key, image in self.images.items():
            x, back, factors = contract.way.apply(image)
            values = x.expand(contract.batch, -1, -1, -1).numpy()
            if contract.layout == "nhwc":
                values = np.round(values * 255).astype(np.uint8).transpose(0, 2, 3, 1)
            feeds = {contract.image: values}
            given = {"im_shape": np.array([[SIZE, SIZE]], np.float32), "scale_factor": np.array([factors], np.float32)}
            feeds |= {one: given[one] for one in contract.second}
            outputs = [torch.from_numpy(value) for value in session.run(None, feeds)]
            if contract.batch > 1:
                outputs = [value[:1] for value in outputs]
            boxes, scores, labels = contract.read(*outputs)
            boxes = boxes if contract.of_image else back(boxes)
            height, width = image.shape[:2]
            rows[key] = tiny.as_rows(boxes, scores, labels, width, height, contract.categories)
        self.tool, self.version = contract.tool, "contract"
        self.keep(
            name,
            "" if contract.folder else contract.file,
            contract.what,
            rows,
            sidecar=sidecar(name, contract),
            same_resize=contract.same_resize,
        )


class Reordered(torch.nn.Module):
    """A network whose image is its second input."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, im_shape: Tensor, image: Tensor, scale_factor: Tensor) -> Any:
        """What the network answers."""
        return self.inner(image, im_shape, scale_factor)


def sidecar(name: str, contract: Contract) -> dict[str, Any] | None:
    """The manifest beside a file that does not tell enough."""
    if contract.described is None:
        return None
    document = {"name": name, "detector": {"name": contract.tool}, "categories": list(contract.categories)}
    way = contract.way.contract(raw=contract.layout == "nhwc")
    return document | {"input": way, "output": {"kind": "described", **contract.described}}


def main() -> None:
    """Make what is wanted."""
    warnings.filterwarnings("ignore")
    shop = Workshop()
    for name, contract in {**YOLOS, **OTHERS, **CAMERA_TRAPS, **CUSTOM_VISION}.items():
        shop.make(name, contract)
    if FASTESTDET_FILE.exists() and shop.wants("fastestdet"):
        way = Way("stretch", channels="bgr", size=352)
        real = replace(OTHERS["fastestdet-tiny"], what="a real detector of COCO", way=way, categories=COCO)
        with shop.artifact("fastestdet") as folder:
            shutil.copy(FASTESTDET_FILE, folder / "model.onnx")
            shop.run("fastestdet", folder / "model.onnx", real)
    shop.close()


if __name__ == "__main__":
    main()
