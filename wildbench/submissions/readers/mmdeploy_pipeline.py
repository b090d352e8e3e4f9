"""`pipeline.json`, which MMDeploy writes beside a network for its SDK: how the picture goes in. It has no names.

What is read is what the SDK does (csrc/mmdeploy/preprocess/transform); `dets` and `labels` the graph tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wildbench.submissions.readers._reader import Described, Words, plain_data

NAME = "pipeline.json"

SILENT = {"LoadImageFromFile", "DefaultFormatBundle", "ImageToTensor", "Collect", "LoadAnnotations"}
"""Steps that change no value."""


def read(described: Described, draft: Mapping[str, Any]) -> Words | None:
    """The input; None where there is no such file, or its last task is not MMDetection's."""
    text = described.beside(NAME) or b""
    document = plain_data(described.source, NAME, text) if b'"mmdet"' in text else {}
    tasks = {task.get("module"): task for task in (document.get("pipeline") or {}).get("tasks", [])}
    if not {"Transform", "Net", "mmdet"} <= tasks.keys():
        return None
    contract = _input(list(_flat(tasks["Transform"]["transforms"])))
    detector = {"name": f"MMDetection {tasks['Net'].get('name', '')}".strip()}
    words = {"detector": detector, "input": contract} if contract else {"detector": detector}
    return Words(words, f"preprocessing from {NAME} (MMDeploy)")


def _flat(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield from _flat(step["transforms"]) if "transforms" in step else [step]


def _input(steps: list[dict[str, Any]]) -> dict[str, Any] | None:
    """None where a step is not known."""
    contract: dict[str, Any] = {"scale": "0-255", "channels": "bgr"}
    for step in steps:
        kind = step["type"]
        if kind == "Resize":
            contract |= _resize(step)
        elif kind == "Normalize":
            contract |= {"mean": step["mean"], "std": step["std"], "channels": "rgb" if step["to_rgb"] else "bgr"}
        elif kind == "Pad" and "size" in step:
            size = step["size"]
            contract |= {"canvas": [size, size] if isinstance(size, int) else size, "pad": _pad(step, contract)}
        elif kind == "Pad" and not step.get("pad_to_square") and "logical_or_val" not in step:
            divisor = step.get("size_divisor", 1)
            contract |= {"multiple": divisor, "pad": _pad(step, contract)} if divisor > 1 else {}
        elif kind not in SILENT:
            return None
    if "shortest_edge" in contract and not {"canvas", "multiple"} & contract.keys():
        contract["multiple"] = 1
    return contract


def _resize(step: Mapping[str, Any]) -> dict[str, Any]:
    """To (width, height), or to fit both ways."""
    size = step["size"]
    width, height = (size, size) if isinstance(size, int) else size
    interpolation = {"interpolation": step.get("interpolation", "bilinear")}
    if not step.get("keep_ratio"):
        return interpolation | {"resize": "stretch", "size": [height, width]}
    edges = {"shortest_edge": min(width, height), "longest_edge": max(width, height)}
    return interpolation | {"resize": "shortest_edge", **edges, "rounding": "half-up"}


def _pad(step: Mapping[str, Any], contract: Mapping[str, Any]) -> int | str:
    """A grey level; what is padded after the normalisation is 0 there."""
    value = step.get("pad_val", 0)
    level = int(value["img"][0] if isinstance(value, Mapping) else value)
    return "mean" if "mean" in contract and level == 0 else level
