"""A tiny detector of transformers, with its folder."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import manifest

INPUT = {"resize": "stretch", "size": [64, 96], "mean": [0.5] * 3, "std": [0.5] * 3}
OUTPUT = {
    "kind": "detr",
    "activation": "softmax",
    "score_threshold": 0.01,
    "nms_iou": None,
    "max_detections": 100,
}


def yolos(**more: Any) -> Any:
    """YOLOS with ten queries for two categories."""
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    transformers.set_seed(0)
    sides = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.YolosConfig(
        **sides,
        image_size=[64, 96],
        num_detection_tokens=10,
        use_mid_position_embeddings=False,
        id2label={0: "zebra", 1: "lion"},
        label2id={"zebra": 0, "lion": 1},
        initializer_range=0.3,
        **more,
    )
    model = transformers.YolosForObjectDetection(config).eval()
    torch.nn.init.normal_(model.vit.embeddings.detection_tokens)
    return model


def hugging_face_folder(path: Path) -> Any:
    """Write a folder whose weights are at `path`, with a manifest of theirs; gives the network."""
    model = yolos()
    model.save_pretrained(path.parent)
    (path.parent / "model.safetensors").rename(path)
    path.with_suffix(".manifest.json").write_text(manifest(input=INPUT, output=OUTPUT).to_json())
    return model
