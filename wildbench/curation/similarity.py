"""Which images look alike: near duplicates, and a map of the whole data set.

FiftyOne would fetch a model for this. Here the features are those of wildbench's bundled detector, which is at hand.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import fiftyone
import fiftyone.brain as fob
import numpy as np
import numpy.typing as npt
import torch

from wildbench.curation.database import review_folder
from wildbench.datasets.coco import Dataset
from wildbench.datasets.duplicates import KINDS, find_pairs, groups
from wildbench.datasets.images import read_ahead
from wildbench.files import atomic_writer, write_atomically
from wildbench.progress import Progress, silent
from wildbench.resources import bundled
from wildbench.submissions.process import open_submission

SIDE = 224
"""Pixels to which images are resized: enough to tell scenes apart, and 20 ms an image on a laptop's processor."""

MAP, ALIKE = "map", "alike"
"""Names of the two in the App."""


def near_duplicates(data: Dataset, progress: Progress = silent) -> list[list[int]]:
    """Groups of places of images that are one photograph, however encoded, cropped or turned; kept between runs.

    Pictures of one scene are left out: a camera that stands still makes nothing else.
    """
    path = _kept(data, "groups.json")
    if not path.is_file():
        pairs = find_pairs([data.image_path(image) for image in data.images], progress=progress)
        same = [(pair.a, pair.b) for pair in pairs if pair.kind != KINDS[-1]]
        found = [group for group in groups(len(data.images), same) if len(group) > 1]
        write_atomically(path, json.dumps(found).encode())
    kept: list[list[int]] = json.loads(path.read_bytes())
    return kept


def add_similarity(samples: fiftyone.Dataset, data: Dataset, progress: Progress = silent) -> None:
    """Let the App sort images by likeness to any of them, and draw them all on a map (principal components)."""
    features = features_of(data, progress)
    if len(features) < 3:
        return  # neither a map nor an order
    fob.compute_similarity(samples, embeddings=features, brain_key=ALIKE, backend="sklearn", metric="cosine")
    fob.compute_visualization(samples, embeddings=features, brain_key=MAP, method="pca")


def features_of(data: Dataset, progress: Progress = silent) -> npt.NDArray[np.float32]:
    """The bundled detector's backbone, its deepest features averaged over each image; kept between runs.

    Returns:
        float32 [image, feature], in the order of the data set.
    """
    path = _kept(data, "features.npy")
    if not path.is_file():
        features = _compute(data, progress)
        with atomic_writer(path) as file:
            np.save(file, features)
    kept: npt.NDArray[np.float32] = np.load(path)
    return kept


def _compute(data: Dataset, progress: Progress) -> npt.NDArray[np.float32]:
    model: Any = open_submission(bundled("baselines/reference.pt")).module
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (model.transform.image_mean, model.transform.image_std))
    rows = []
    with torch.inference_mode():
        for pixels in read_ahead([data.image_path(image) for image in data.images]):
            small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            planes = torch.from_numpy(small).permute(2, 0, 1) / 255
            deepest = list(model.backbone.body((planes[None] - mean) / deviation).values())[-1]
            rows.append(deepest.mean(dim=(0, 2, 3)).numpy())
            progress("look at images' features", len(rows), len(data.images))
    return np.stack(rows)


def _kept(data: Dataset, name: str) -> Path:
    """Where what was found in these very images is kept: by their names and sizes of file."""
    paths = [data.image_path(image) for image in data.images]
    listed = "\n".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths)
    return review_folder() / "looks" / f"{hashlib.sha256(listed.encode()).hexdigest()[:16]}.{name}"
