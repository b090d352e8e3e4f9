"""Which tools make the artifacts, pinned, and how their workshops are started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wildbench.errors import RecipeError

WORKSHOP = Path(__file__).parent / "workshop"


@dataclass(frozen=True)
class Family:
    """Tools that live in one environment.

    Attributes:
        script: In `workshop/`.
        packages: With their versions; none for what wildbench's extras have, which is then made without a download.
        python: Version of the interpreter, where there are packages.
        quick: Whether it is made and tried within a minute.
    """

    script: str
    packages: tuple[str, ...] = ()
    python: str = "3.11"
    quick: bool = False


FAMILIES = {
    "ultralytics": Family(
        "yolo.py",
        (
            "ultralytics==8.4.190",
            "torch==2.15.0",
            "torchvision==0.29.2",
            "numpy==2.3.5",
            "onnx==1.23.2",
            "onnxruntime==1.31.1",
            "onnxslim==0.1.98",
            "openvino==2026.4.1",
            "nncf==3.4.0",
            "ncnn==1.0.20261020",
            "pnnx==20260526",
            "executorch==1.5.1",
            "coremltools==9.0",
            "MNN==3.6.1",
            "aliyun-log-python-sdk==0.7.11",
            "paddlepaddle==3.2.2",
            "x2paddle==1.6.0",
            "six==1.17.0",
        ),
    ),
    "ultralytics-litert": Family(
        "yolo_litert.py",
        (
            "ultralytics==8.4.190",
            "torch==2.14.1",
            "torchvision==0.29.2",
            "litert-torch==0.10.0",
            "ai-edge-litert==2.3.0",
            "ai-edge-quantizer==0.10.0",
            "onnx==1.23.2",
        ),
    ),
    "ultralytics-8.3": Family(
        "yolo_older.py",
        (
            "ultralytics==8.3.228",
            "torch==2.8.0",
            "torchvision==0.23.0",
            "tensorflow==2.19.1",
            "tf-keras==2.19.0",
            "onnx2tf==1.28.8",
            "sng4onnx==2.0.1",
            "onnx-graphsurgeon==0.6.1",
            "ai-edge-litert==2.3.0",
            "onnx==1.19.1",
            "onnxruntime==1.31.1",
            "onnxslim==0.1.98",
            "protobuf==5.29.6",
        ),
    ),
    "yolov5": Family(
        "yolo_v5.py",
        (
            "yolov5==7.0.14",
            "torch==2.15.0",
            "torchvision==0.29.2",
            "onnx==1.23.2",
            "onnxruntime==1.31.1",
            "setuptools==80.9.0",
        ),
    ),
    "contracts": Family("contracts.py", quick=True),
    "torchvision": Family("tv_files.py"),
    "transformers": Family(
        "hf_folders.py",
        ("transformers==5.24.0", "torch==2.15.0", "torchvision==0.29.2", "pillow==13.0.0", "scipy==1.17.1"),
    ),
    "torch": Family(
        "torch_exports.py",
        (
            "torch==2.15.0",
            "torchvision==0.29.2",
            "torchao==0.18.0",
            "opencv-python-headless==5.0.0.93",
            "onnx==1.23.2",
            "onnxruntime==1.31.1",
            "onnxscript==0.7.2",
            "onnxsim==0.8.1",
        ),
    ),
    "rfdetr": Family(
        "rf_detr.py",
        (
            "rfdetr==1.5.2",
            "transformers==4.57.6",
            "torch==2.15.0",
            "torchvision==0.29.2",
            "onnx==1.23.2",
            "onnxruntime==1.31.1",
            "onnxsim==0.8.1",
        ),
    ),
    "optimum": Family(
        "hf_exports.py",
        (
            "transformers==4.57.6",
            "optimum-onnx==0.1.0",
            "torch==2.15.0",
            "torchvision==0.29.2",
            "pillow==13.0.0",
            "scipy==1.17.1",
            "onnx==1.23.2",
            "onnxruntime==1.31.1",
            "openvino==2026.4.1",
        ),
    ),
    "mmdeploy": Family(
        "mmdeploy_folders.py",
        (
            "mmdeploy-runtime==1.3.1",
            "torch==2.8.0",
            "torchvision==0.23.0",
            "opencv-python-headless==4.11.0.86",
            "numpy==1.26.4",
            "onnx==1.19.1",
        ),
    ),
    "openvino-model-api": Family(
        "model_wrappers.py",
        (
            "openvino-model-api==0.4.7",
            "openvino==2026.4.1",
            "nncf==3.4.0",
            "torch==2.15.0",
            "torchvision==0.29.2",
            "opencv-python-headless==4.14.0.94",
            "onnx==1.23.2",
            "onnxruntime==1.31.1",
        ),
    ),
    "tensorflow": Family(
        "tensorflow_lite.py",
        (
            "tensorflow==2.21.0",
            "mediapipe==1.2.2",
            "torch==2.15.0",
            "torchvision==0.29.2",
            "opencv-contrib-python==5.1.0.95",
        ),
    ),
    "runtimes": Family(
        "runtimes.py",
        (
            "torch==2.14.1",
            "torchvision==0.29.2",
            "opencv-python-headless==5.0.0.93",
            "openvino==2026.4.1",
            "nncf==3.4.0",
            "litert-torch==0.10.0",
            "ncnn==1.0.20261020",
            "pnnx==20261020",
            "executorch==1.5.1",
            "onnx==1.23.2",
            "onnxruntime==1.31.1",
            "onnxscript==0.7.2",
            "onnxconverter-common==1.16.0",
            "coremltools==9.0",
            "MNN==3.6.1",
            "aliyun-log-python-sdk==0.7.11",
        ),
    ),
}
"""By name, in the order of the table."""


def make(name: str, out: Path, pictures: Path, artifacts: Sequence[str] = ()) -> bool:
    """Make a family's artifacts that are not there yet in `out`; whether all of them were made.

    Args:
        name: Of the family.
        out: The folder of all families' artifacts.
        pictures: The folder of the pictures.
        artifacts: Make these again and no others.
    """
    family = FAMILIES[name]
    script = [str(WORKSHOP / family.script), str(out / name), str(pictures), *artifacts]
    if not family.packages:
        command = [sys.executable, *script]
    else:
        if shutil.which("uv") is None:
            raise RecipeError("uv is not installed", code="no-uv", remedy="pip install uv")
        packages = [word for package in family.packages for word in ("--with", package)]
        command = ["uv", "run", "--no-project", "--python", family.python, *packages, "python", *script]
    (out / name).mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    with (out / f"{name}.log").open("ab") as log:
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=out).returncode == 0
