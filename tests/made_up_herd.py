"""A tiny dense detector with random weights, and photographs whose boxes are where it sees something."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from wildbench.detectors.zoo import _zoo
from wildbench.submissions.archive._archive import save_submission

ARGUMENTS = {"blocks": 12, "channels": 16, "depth": 1, "min_size": 64, "max_size": 64, "score_thresh": 0.0}
CATEGORIES = ["lion", "zebra"]
BOXES = 3


def small_detector(seed: int = 0) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _zoo.build(_zoo.SMALL, len(CATEGORIES), **ARGUMENTS)
        for name, layer in model.named_modules():
            if isinstance(layer, torch.nn.Conv2d) and "regression_head" not in name:
                torch.nn.init.kaiming_normal_(layer.weight)  # so that what it says follows from what it sees
        torch.nn.init.constant_(model.head.regression_head.bbox_reg.bias, 1.5)  # boxes three strides wide
    return model.eval()


def dense_submission(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"authors": ["A. Ranger"], "licence": "CC0-1.0", "training_data": "herd", "method": "none"}
    model = small_detector(seed)
    save_submission(model, path, detector=_zoo.SMALL, arguments=ARGUMENTS, categories=CATEGORIES, **about)
    return path


def herd(folder: Path, images: int = 6, seed: int = 0) -> Path:
    """A COCO JSON with its images; the boxes are the best detections of `small_detector(seed)`."""
    folder.mkdir(parents=True, exist_ok=True)
    noise, model = np.random.default_rng(seed), small_detector(seed)
    entries, boxes = [], []
    for number in range(1, images + 1):
        coarse = noise.integers(0, 256, (8, 8, 3), np.uint8)
        picture = cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        entries.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        pixels = torch.from_numpy(picture[..., ::-1].copy()).permute(2, 0, 1) / 255
        with torch.inference_mode():
            found = model([pixels])[0]
        for (x, y, right, low), label in zip(
            found["boxes"][:BOXES].tolist(), found["labels"][:BOXES].tolist(), strict=True
        ):
            box = [round(x, 2), round(y, 2), round(right - x, 2), round(low - y, 2)]
            boxes.append({"id": len(boxes) + 1, "image_id": number, "category_id": label, "bbox": box})
    path = folder / "herd.json"
    categories = [{"id": number, "name": name} for number, name in enumerate(CATEGORIES, 1)]
    path.write_text(json.dumps({"images": entries, "annotations": boxes, "categories": categories}))
    return path
