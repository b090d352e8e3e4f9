"""torch's newer exporters, which need packages of their own: PT2E quantization, ONNX by torch.export, onnxsim.

Detections are those of torch or onnxruntime on the file.
"""

from __future__ import annotations

from typing import Any

import onnx
import onnxsim
import tiny_nets as tiny
import torch
from bench import CATEGORIES, Bench, spread
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
    X86InductorQuantizer,
    get_default_x86_inductor_quantization_config,
)
from tv_files import SIZE, onnx_run

LETTERBOX = {"resize": "letterbox", "position": "center", "size": [SIZE, SIZE]}
RAW = {"kind": "yolov8", "score_threshold": tiny.SCORE, "nms_iou": 0.7, "max_detections": 300}


def main() -> None:
    """Make every export of one tiny network."""
    bench = Bench("torch", "torch", torch.__version__)
    images = {path.name: tiny.read(path) for path in bench.pictures}
    boxed = [tiny.unit(tiny.letterboxed(image, SIZE)[0]) for image in images.values()]
    torch.manual_seed(14)
    network = tiny.Yolo(boxed).eval()

    def keep(name: str, file: str, what: str, run: tiny.Run, **more: Any) -> None:
        found = {key: tiny.yolo_rows(run, image, SIZE) for key, image in images.items()}
        facts = {"detector": {"name": "tiny yolo"}, "categories": list(CATEGORIES), "input": LETTERBOX, "output": RAW}
        bench.keep(name, file, f"{what}: {spread(found)}", found, sidecar={"name": name, **facts, **more})

    for name, external in (("torch-dynamo-onnx", True), ("torch-dynamo-onnx-one-file", False)):
        if bench.wants(name):
            with bench.artifact(name):
                torch.onnx.export(network, (boxed[0],), "model.onnx", dynamo=True, external_data=external)
                keep(name, "model.onnx", "torch.onnx.export(dynamo=True)", onnx_run("model.onnx"))
    if bench.wants(name := "torch-onnxsim"):
        with bench.artifact(name):
            torch.onnx.export(network, (boxed[0],), "whole.onnx", input_names=["images"], dynamo=False)
            simple, _ = onnxsim.simplify(onnx.load("whole.onnx"))
            onnx.save(simple, "model.onnx")
            (bench.out / name / "whole.onnx").unlink()
            keep(name, "model.onnx", "torch.onnx.export, simplified by onnxsim", onnx_run("model.onnx"))
    if bench.wants(name := "torch-pt2e-int8"):
        with bench.artifact(name):
            quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
            prepared = prepare_pt2e(torch.export.export(network.heads, (boxed[0],)).module(), quantizer)
            for image in boxed:
                prepared(image)
            whole = tiny.Yolo(boxed).eval()
            whole.heads = convert_pt2e(prepared)
            torch.export.save(torch.export.export(whole, (boxed[0],)), "model.pt2")
            program = torch.export.load("model.pt2").module()
            layout = {"input": LETTERBOX | {"layout": "nchw"}}
            keep(name, "model.pt2", "PT2E-quantized by torchao, torch.export.save", lambda x: [program(x)], **layout)
    bench.close()


if __name__ == "__main__":
    main()
