"""Tensors of torchvision's detectors, in state dicts and graphs: which one, and COCO's names for COCO's 91 classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wildbench.submissions.formats import head_classes, load_graph
from wildbench.submissions.readers._reader import Described, Words

COCO = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, N/A, stop sign,
parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, N/A, backpack, umbrella, N/A,
N/A, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard,
surfboard, tennis racket, bottle, N/A, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, N/A, dining table, N/A, N/A, toilet,
N/A, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, N/A, book, clock,
vase, scissors, teddy bear, hair drier, toothbrush
"""
"""Names of COCO's ids 1 to 90, as torchvision's published weights have them."""


def read(described: Described, draft: Mapping[str, Any]) -> Words | None:
    """The detector, torchvision's input and output, and perhaps the categories."""
    classes, name = (described.metadata.get(f"torchvision.{key}") for key in ("classes", "detector"))
    if classes is None:
        return _graph(described, draft)
    names = coco_names()
    words: dict[str, Any] = {"input": {}, "output": {"kind": "torchvision"}}
    words |= {"detector": {"name": name}} if name else {}
    words |= {"categories": names} if int(classes) == len(names) + 1 else {}
    what = f"{name or 'a torchvision detector'} with {classes} classes"
    named = ", whose names are taken to be COCO's," if "categories" in words else ""
    return Words(words, f"{what}{named} from the names and shapes of its tensors")


def coco_names() -> list[str]:
    """Names of COCO's ids 1 to 90; "N/A" for those that nothing has."""
    return " ".join(COCO.split()).split(", ")


def _graph(described: Described, draft: Mapping[str, Any]) -> Words | None:
    """An ONNX graph whose initializers kept torchvision's names: COCO's categories, and outputs by their shapes."""
    if described.format.name != "onnx" or described.signature is None:
        return None
    initializers = described.source.parsed(load_graph).graph.initializer
    classes = head_classes({tensor.name: tuple(tensor.dims) for tensor in initializers})
    if classes != len(coco_names()) + 1:
        return None
    words: dict[str, Any] = {"categories": coco_names()}
    outputs = [(port.name, len(port.shape), "int" in port.dtype) for port in described.signature.outputs[:3]]
    kinds = {(2, False): "boxes", (1, True): "labels", (1, False): "scores"}
    parts = {kinds.get((axes, whole), ""): name for name, axes, whole in outputs}
    if parts.keys() == set(kinds.values()):
        image = described.signature.image
        words["output"] = {"kind": "described", **{kind: {"output": name} for kind, name in parts.items()}}
        words["output"]["labels"]["first"] = 1
        words |= {"input": {"resize": "none"}} if image and len(image.shape) == 3 and "input" not in draft else {}
    return Words(words, f"COCO's names, for {classes} classes, from the names and shapes of its tensors (torchvision)")
