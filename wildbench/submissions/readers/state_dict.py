"""State dicts of torchvision's detectors: which one, and COCO's names where it has COCO's 91 classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
        return None
    names = " ".join(COCO.split()).split(", ")
    words: dict[str, Any] = {"input": {}, "output": {"kind": "torchvision"}}
    words |= {"detector": {"name": name}} if name else {}
    words |= {"categories": names} if int(classes) == len(names) + 1 else {}
    what = f"{name or 'a torchvision detector'} with {classes} classes"
    named = ", whose names are taken to be COCO's," if "categories" in words else ""
    return Words(words, f"{what}{named} from the names and shapes of its tensors")
