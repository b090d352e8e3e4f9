"""Folders of Hugging Face, and of Optimum's exports: `config.json` and `preprocessor_config.json` beside the network.

What a detector's logits mean depends on its architecture; it is what each one's `post_process_object_detection` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wildbench.submissions.readers._reader import BY_HAND, Described, Words, in_order, plain_data

SOFTMAX = {"detr", "table-transformer", "yolos"}
"""Architectures whose last column is "no object", by `model_type`."""

SIGMOID = {
    *("conditional_detr", "dab-detr", "deformable_detr", "deta", "rt_detr", "rt_detr_v2", "d_fine", "deimv2"),
    *("lw_detr", "rf_detr"),
}
"""Architectures with a score for each pair of query and category, of which the best are kept."""

ALL_QUERIES = {"rt_detr", "rt_detr_v2", "d_fine", "deimv2", "rf_detr"}
"""Of these as many detections are kept as there are queries; of the others a hundred."""

INTERPOLATION = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "area"}
"""Pillow's `resample` by its number."""


def read(described: Described, draft: Mapping[str, Any]) -> Words | None:
    """What the configuration says; None where there is none, or it is of no detector known here."""
    config = _document(described, "config.json")
    kind = config.get("model_type")
    if kind not in SOFTMAX | SIGMOID:
        if described.format.name == "huggingface":
            problem = f"what the logits of {kind!r} mean is not known here"
            raise described.source.error(problem, code="unknown-architecture", remedy=BY_HAND)
        return None
    categories = in_order(config.get("id2label") or {})
    manifest = {"detector": {"name": kind}, "categories": categories, "output": _output(config)}
    processor = _document(described, "preprocessor_config.json")
    where = f"names and architecture ({kind}) from config.json"
    if processor:
        manifest["input"] = _input(processor, config)
        where += ", input from preprocessor_config.json"
    return Words(manifest, where)


def _document(described: Described, name: str) -> dict[str, Any]:
    text = described.beside(name)
    return {} if text is None else plain_data(described.source, name, text)


def _output(config: Mapping[str, Any]) -> dict[str, Any]:
    """Logits and boxes, as the architecture's own post-processing reads them."""
    kind = config["model_type"]
    softmax = kind in SOFTMAX
    most = int(config.get("num_queries") or 100) if softmax or kind in ALL_QUERIES else 100
    limits = {"score_threshold": 0.0, "nms_iou": None, "max_detections": min(most, 1000)}
    return {"kind": "detr", "activation": "softmax" if softmax else "sigmoid", **limits}


def _input(processor: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The image processor's resize, scale and normalisation."""
    contract: dict[str, Any] = {}
    kind = config["model_type"]
    size = processor.get("size") or {}
    if isinstance(size, int):  # before transformers 4.27
        size = {"shortest_edge": size, "longest_edge": processor.get("max_size", 1333)}
    size = dict(size)
    if processor.get("do_resize", True) and "shortest_edge" in size:
        contract |= {"resize": "shortest_edge", "shortest_edge": size["shortest_edge"]}
        contract |= {"longest_edge": size.get("longest_edge") or size["shortest_edge"]}
        contract["rounding"] = "yolos" if kind == "yolos" else "transformers"
    elif processor.get("do_resize", True) and "height" in size:
        contract |= {"resize": "stretch", "size": [size["height"], size["width"]]}
    if contract:
        contract["interpolation"] = INTERPOLATION.get(processor.get("resample", 2), "bilinear")
        contract["antialias"] = _resizer(processor, config)
        contract |= {"antialias": "none", "resize_dtype": "float32"} if kind == "rf_detr" else {}  # after rescaling
    contract["scale"] = "0-1" if processor.get("do_rescale", True) else "0-255"
    if processor.get("do_normalize", True) and processor.get("image_mean"):
        contract |= {"mean": processor["image_mean"], "std": processor["image_std"]}
    if kind == "yolos" and processor.get("do_pad", True) and contract.get("resize") == "shortest_edge":
        contract["multiple"] = 1
    return contract


def _resizer(processor: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Who resizes: before transformers 5 torch in processors called Fast, since then in all but those called Pil."""
    name = str(processor.get("image_processor_type", ""))
    if name.endswith(("Fast", "Pil")):
        return "torch" if name.endswith("Fast") else "pillow"
    version = str(config.get("transformers_version", "")).partition(".")[0]
    return "torch" if version.isdecimal() and int(version) >= 5 else "pillow"
