"""wildbench's own formats keep what the suite for everyone asks, and the suite notices when one does not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hugging_face import hugging_face_folder
from small_networks import MeanDetector, as_ort, constant_detector, manifest, write_export, write_torchscript
from tiny_graphs import mean_ir, mean_lite, mean_ncnn
from torchvision.models import get_model

from wildbench.detectors.zoo import build
from wildbench.plugins import formats
from wildbench.submissions.archive import save_submission
from wildbench.submissions.conformance import (
    check_backend,
    check_format,
    check_listing,
    check_manifest,
    check_recognition,
)
from wildbench.submissions.formats.onnx_graph import OnnxGraph
from wildbench.submissions.manifest import manifest_path

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning", "ignore:SSD always returns")


def small_submission(path: Path) -> None:
    torch.manual_seed(0)
    arguments = {"blocks": 12, "channels": 16, "depth": 1, "min_size": 64, "score_thresh": 0.0}
    model = build("fcos_efficientnet_lite0_fpn", 2, **arguments)
    save_submission(
        model, path, detector="fcos_efficientnet_lite0_fpn", arguments=arguments, categories=["zebra", "lion"]
    )


def beside(write: Any) -> Any:
    """A file with its manifest beside it."""

    def make(path: Path) -> None:
        write(path, MeanDetector())
        manifest_path(path).write_text(manifest().to_json())

    return make


def torchvision_weights(path: Path) -> None:
    torch.manual_seed(0)
    arguments = {"weights": None, "weights_backbone": None, "num_classes": 3}
    torch.save(get_model("ssdlite320_mobilenet_v3_large", **arguments).state_dict(), path)
    manifest_path(path).write_text(manifest(input={}).to_json())


def mean_program(path: Path) -> None:
    """Lowered to ExecuTorch's own kernels."""
    pytest.importorskip("executorch.exir", reason="ExecuTorch brings torchao and two dozen packages; extra executorch")
    from executorch.exir import to_edge

    exported = torch.export.export(MeanDetector().eval(), (torch.rand(1, 3, 24, 40),))
    path.write_bytes(to_edge(exported).to_executorch().buffer)
    manifest_path(path).write_text(manifest().to_json())


MAKERS = {
    "huggingface": hugging_face_folder,
    "torchvision": torchvision_weights,
    "wildbench": small_submission,
    "torchscript": beside(write_torchscript),
    "pt2": beside(write_export),
    "onnx": constant_detector,
    "ort": lambda path: as_ort(constant_detector(path.with_name("twin.onnx")), path),
    "openvino": lambda path: mean_ir(path, manifest().to_json()),
    "executorch": mean_program,
    "tensorrt": lambda path: pytest.skip("an engine is built on the GPU that runs it"),
    "ncnn": lambda path: mean_ncnn(path, manifest().to_json()),
    "litert": lambda path: mean_lite(path, manifest().to_json()),
}


@pytest.mark.parametrize("name", formats.names())
def test_each_format_conforms(name: str, tmp_path: Path) -> None:
    check_format(formats.get(name), MAKERS[name], tmp_path)


def test_the_suite_notices_what_is_broken(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / "a.onnx")

    class Greedy(OnnxGraph):
        def sniff(self, source: Any) -> bool:
            return True

    class Mute(OnnxGraph):
        def open(self, *arguments: Any) -> Any:
            backend = super().open(*arguments)
            backend.facts = lambda: {"device": None, "peak_memory": None}  # type: ignore[method-assign]
            return backend

    for check, format in ((check_recognition, Greedy()), (check_backend, Mute())):
        with pytest.raises(AssertionError):
            check(format, path)
    check_manifest(formats.get("onnx"), path)
    check_listing(formats.get("onnx"), path)
