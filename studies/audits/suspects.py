"""Detectors to be audited: honest ones, dense and compressed, and four kinds that know the test labels by heart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from wildbench.compression.chain import compress
from wildbench.compression.recipes import find_recipe, load_recipe, parse_change, with_settings
from wildbench.datasets.coco import Dataset, Floats
from wildbench.datasets.images import Pixels, decode
from wildbench.datasets.predictions import Detections
from wildbench.detectors import zoo
from wildbench.evaluation import detections_of
from wildbench.evaluator import detections_in, known_categories
from wildbench.measures.audits import Detect
from wildbench.resources import bundled
from wildbench.submissions.archive import read_submission, rebuild, save_submission
from wildbench.submissions.process import Sandbox

NETWORK = "fcos_efficientnet_lite0_fpn"

SIDES = {"reference-192": (192, 256), "reference-288": (288, 384)}
"""The reference on smaller images, a quarter and a half of its arithmetic; the first is what is compressed."""

COMPRESSED = [
    ("half", "half", "", 0),
    ("weights-50", "unstructured", "ratio=0.5", 0),
    ("weights-70", "unstructured", "ratio=0.7", 0),
    ("filters-10", "filters", "ratio=0.1", 0),
    ("filters-20", "filters", "ratio=0.2", 0),
    ("kernels-20", "kernels", "ratio=0.2", 0),
    ("units", "units", "", 0),
    ("share", "share", "", 0),
    ("int8", "int8", "", 0),
    ("int4", "int4", "", 0),
    *((f"random-10-seed-{seed}", "random", "ratio=0.1", seed) for seed in range(3)),
    *((f"filters-random-seed-{seed}", "filters-random", "ratio=0.1", seed) for seed in range(3)),
]
"""Name, recipe, setting and seed."""


def reference_at(folder: Path, name: str) -> Path:
    """The reference's weights in a network that takes smaller images."""
    path = folder / f"{name}.pt"
    if not path.exists():
        archive = read_submission(bundled("baselines/reference.pt"))
        low, high = SIDES[name]
        arguments = {**archive.manifest.detector.arguments, "min_size": low, "max_size": high}
        model = zoo.build(NETWORK, len(archive.manifest.categories), init="random", **arguments)
        model.load_state_dict(rebuild(archive, name).state_dict())
        save_submission(
            model.eval(), path, detector=NETWORK, arguments=arguments, categories=archive.manifest.categories
        )
    return path


def honest(folder: Path) -> dict[str, Path]:
    """The files of every honest detector, made where they are not there."""
    files = {name: bundled(f"baselines/{name}.pt") for name in ("reference", "reference-tiny")}
    files |= {name: reference_at(folder, name) for name in SIDES}
    for name, recipe, setting, seed in COMPRESSED:
        files[name] = folder / f"{name}.pt"
        if not files[name].exists():
            chosen = with_settings(load_recipe(find_recipe(recipe)), [parse_change(setting)] if setting else [])
            compress(chosen, files["reference-192"], files[name], seed=seed)
    return files


@contextmanager
def opened(file: Path, data: Dataset) -> Iterator[tuple[Detect, frozenset[int]]]:
    """A file's detector in its own process, and the categories that it knows."""
    with Sandbox(file) as box:
        ids = known_categories(box.manifest.label_names, data, file.name)
        yield partial(_answer, box, ids), frozenset(ids.values())


def _answer(box: Sandbox, ids: dict[int, int], image_id: int, pixels: Pixels) -> Detections:
    return detections_of(image_id, box.predict(pixels).detections, ids)


def remembering(data: Dataset, otherwise: Detect | None, *, every: int = 1, jitter: float = 0.0) -> Detect:
    """Answer a picture with stored labels: its own or, where nothing else is to be done, those of the nearest.

    Args:
        data: What was stored.
        otherwise: What is asked of pictures that were not stored.
        every: Store each so-many-th picture.
        jitter: How far stored corners are off, as a share of the box's sides.
    """
    stored = data.images[::every]
    keys = np.array([_key(decode(data.image_path(image))) for image in stored])
    rng = np.random.default_rng(1)

    def detect(image_id: int, pixels: Pixels) -> Detections:
        far = np.abs(keys - _key(pixels)).mean(axis=1)
        if otherwise and far.min() > 1:
            return otherwise(image_id, pixels)
        return stored_labels(data, stored[int(far.argmin())]["id"], image_id, jitter, rng)

    return detect


def stored_labels(data: Dataset, stored: int, image_id: int, jitter: float, rng: np.random.Generator) -> Detections:
    """The labels of one picture as the detections of another, or of itself."""
    known = data.labels.of_image(stored)
    sides = known.boxes[:, [2, 3, 2, 3]]
    corners = known.xyxy + sides * rng.uniform(-jitter, jitter, sides.shape)
    return detections_in(image_id, known.category_ids, corners, rng.uniform(0.5, 0.99, len(known)))


def _key(pixels: Pixels) -> Floats:
    small: Floats = cv2.resize(pixels, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
    return small


def overfitted(data: Dataset, file: Path, epochs: int, told: Callable[[int, int], None]) -> Detect:
    """A network that was trained on the test labels until it knows them."""
    archive = read_submission(file)
    model = rebuild(archive, file.name)
    numbers = {entry["id"]: number for number, entry in enumerate(data.categories, start=1)}
    inputs, targets = [], []
    for image in data.images:
        labels = data.labels.of_image(image["id"])
        inputs.append(_tensor(decode(data.image_path(image))))
        classes = torch.tensor([numbers[one] for one in labels.category_ids.tolist()], dtype=torch.int64)
        targets.append({"boxes": torch.from_numpy(labels.xyxy).float(), "labels": classes})
    model.train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval()
    optimizer = torch.optim.AdamW(model.requires_grad_(True).parameters(), lr=1e-3, weight_decay=0)
    rng = np.random.default_rng(0)
    for epoch in range(epochs):
        for batch in np.array_split(rng.permutation(len(inputs)), max(1, len(inputs) // 8)):
            losses = model([inputs[place] for place in batch], [targets[place] for place in batch])
            optimizer.zero_grad()
            sum(losses.values()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
        told(epoch + 1, epochs)
    model.eval()
    ids = np.array([0, *numbers], dtype=np.int64)

    def detect(image_id: int, pixels: Pixels) -> Detections:
        with torch.inference_mode():
            found = {name: values.numpy() for name, values in model([_tensor(pixels)])[0].items()}
        return detections_in(image_id, ids[found["labels"]], found["boxes"], found["scores"])

    return detect


def _tensor(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
