"""Hugging Face folders of every family of detectors that transformers has, as `save_pretrained` writes them.

Detections are those of the family's own processor.
"""

from __future__ import annotations

import torch
import transformers
from bench import Bench, spread
from hf_networks import FOLDERS, build, detections_of, prepare
from PIL import Image


def main() -> None:
    """Write every folder, and what transformers itself finds in the pictures."""
    bench = Bench("transformers", "transformers", transformers.__version__)
    pictures = {path.name: Image.open(path).convert("RGB") for path in bench.pictures}
    for family, entry in FOLDERS.items():
        name = f"hf-{family.replace('_', '-')}"
        if not bench.wants(name):
            continue
        with bench.artifact(name) as folder:
            model, processor = build(entry, pictures.values())
            model.save_pretrained(folder)
            processor.save_pretrained(folder)
            detections = {}
            for picture, image in pictures.items():
                with torch.inference_mode():
                    answer = model(**prepare(processor, image))
                detections[picture] = detections_of(processor, answer, image)
            what = f"{type(model).__name__} and {type(processor).__name__}, by save_pretrained: {spread(detections)}"
            bench.keep(name, ".", what, detections)
    bench.close()


if __name__ == "__main__":
    main()
