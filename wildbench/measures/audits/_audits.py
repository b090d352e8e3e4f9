"""The two audits that show a detector more pictures: altered ones, and scenes that nobody has seen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import Pixels, decode
from wildbench.datasets.predictions import Detections
from wildbench.datasets.registry import Scene, scene_maker
from wildbench.measures.audits._alteration import Window, alter, moved
from wildbench.measures.audits._drop import CERTAIN, Ranking, coco_ap, drop
from wildbench.measures.latency import THREADS_TOLERANCE
from wildbench.measures.matching import Scored
from wildbench.measures.repetition import FASTER, LOOSE, STRICT
from wildbench.progress import Progress, silent
from wildbench.scorecard import Audit, Figure

SHARE, MOST, FEW = 4, 48, 24
"""One picture for every four that are scored, at most so many; of altered ones at least so many, where there are."""

FEWEST = {"fresh-scenes": 10, "altered-images": 4}
"""Pictures from which an audit can tell anything, and is made."""

MARGINS = {"fresh-scenes": 0.05, "altered-images": 0.1}
"""By how much AP may fall besides chance: studies/audits has what honest detectors lose."""

Detect = Callable[[int, Pixels], Detections]
"""A detector: image id and pixels to detections in that image."""


def run_audits(detect: Detect, scored: Scored, *, seed: int | None = None, progress: Progress = silent) -> list[Audit]:
    """Show a detector altered images and, where the data set can make them, fresh scenes; compare with what was scored.

    Args:
        detect: The detector that was scored. It is shown a quarter as many pictures again, at most 48, for each audit.
        scored: What it said of the data set.
        seed: Both follow from it; None draws one, after whatever detects has been made.
        progress: Called as `progress(task, done, total)`.
    """
    seed = int.from_bytes(os.urandom(6), "big") if seed is None else seed
    data = scored.dataset
    wanted = min(MOST, len(data.images) // SHARE)
    altered = max(wanted, FEW) if wanted >= FEWEST["altered-images"] else wanted
    make = scene_maker(data)
    if make is None or wanted < FEWEST["fresh-scenes"]:
        why = "the data set cannot make new scenes" if make is None else f"too few images: {len(data.images)}"
        return [audit_altered(detect, scored, seed, altered, progress), _undone("fresh-scenes", why)]
    with ThreadPoolExecutor(1) as beside:  # they are rendered while the detector looks at others
        rendering = beside.submit(lambda: list(make(seed, wanted)))
        audits = [audit_altered(detect, scored, seed, altered, progress)]
        return [*audits, audit_fresh(detect, scored, seed, rendering.result, progress)]


def audit_images(data: Dataset) -> Audit:
    """Say how many images were compared with a stored hash: reading one that differs is refused before."""
    known = sum(data.image_path(image) in data.sums for image in data.images)
    if not known:
        why = "no hashes beside the labels; `data import` stores them, rendered pictures are compared at loading"
        return _undone("images", why)
    share = Figure(value=known / len(data.images), unit="1", n=len(data.images))
    what = f"{known} of {len(data.images)} images have the hash that was stored when they were imported"
    return Audit(name="images", passed=True, evidence={"compared": share}, explanation=what)


def stated_bound(audit: Audit, threads: int | None = None) -> float | None:
    """Up to where an audit passes by our rules, its own evidence and the detector's threads; None where not known.

    Example:
        >>> stated_bound(Audit(name="images", passed=None, explanation="not done"))
    """
    error = audit.evidence.get("standard_error")
    if audit.name in MARGINS and error and error.value is not None:
        return MARGINS[audit.name] + CERTAIN * error.value
    processor = None if threads is None else threads * THREADS_TOLERANCE
    bounds = {
        "same-pixels": STRICT,
        "sessions-alike": STRICT,
        "lowest-bits": LOOSE,
        "answer-times": FASTER,
        "processor-time": processor,
    }
    return bounds.get(audit.name)


def scored_evidence(scored: Scored) -> dict[str, Figure]:
    """What the audit by fresh scenes keeps of what was scored."""
    pooled = Ranking.of(scored.matches)
    boxes = int((~scored.labels.crowd).sum())
    value = pooled.ap(np.ones(pooled.images))
    return {"ap_scored": coco_ap(scored), "pooled_ap_scored": Figure(value=value, unit="AP", n=boxes)}


def audit_altered(detect: Detect, scored: Scored, seed: int, wanted: int, progress: Progress = silent) -> Audit:
    """Show so many of the images again, mirrored, shifted and stored again."""
    data = scored.dataset
    boxed = sorted(set(scored.labels.image_ids[~scored.labels.crowd].tolist()))
    wanted = min(wanted, len(boxed))
    if wanted < FEWEST["altered-images"]:
        return _undone("altered-images", f"too few images with boxes: {len(boxed)} of {len(data.images)}")
    start = time.perf_counter()
    rng = np.random.default_rng([seed, 1])
    chosen = set(rng.choice(boxed, wanted, replace=False).tolist())
    windows: dict[int, Window] = {}

    def pictures() -> Iterable[tuple[int, Pixels]]:
        for image in data.images:
            if image["id"] in chosen:
                pixels, windows[image["id"]] = alter(
                    decode(data.image_path(image), data.sums.get(data.image_path(image))), rng
                )
                yield image["id"], pixels

    found = _shown(detect, pictures(), wanted, "audit by altered images", progress)
    before, after = moved(data, windows)
    kept = scored.detections[np.isin(scored.detections.image_ids, list(chosen))]
    pair = (replace(scored, dataset=before, detections=_boxes(kept)), replace(scored, dataset=after, detections=found))
    return _judged("altered-images", *pair, seed, start, "the same images mirrored, cropped and stored again")


def audit_fresh(
    detect: Detect, scored: Scored, seed: int, rendered: Callable[[], list[Scene]], progress: Progress = silent
) -> Audit:
    """Show scenes that nobody has seen, which `rendered` makes by the seed."""
    start = time.perf_counter()
    scenes = rendered()
    pictures = ((image["id"], pixels) for image, _, pixels in scenes)
    found = _shown(detect, pictures, len(scenes), "audit by fresh scenes", progress)
    data = scored.dataset
    ids = data.merged_ids
    entries = [one | {"category_id": ids[one["category_id"]]} for _, annotations, _ in scenes for one in annotations]
    coco = {**data.coco, "images": [image for image, _, _ in scenes], "annotations": entries}
    unseen = replace(scored, dataset=Dataset(data.name, data.split, coco, data.images_dir), detections=found)
    return _judged("fresh-scenes", scored, unseen, seed, start, "new scenes of the same cameras")


def _shown(
    detect: Detect, pictures: Iterable[tuple[int, Pixels]], total: int, task: str, progress: Progress
) -> Detections:
    parts: list[Detections] = []
    for image_id, pixels in pictures:
        parts.append(detect(image_id, pixels))
        progress(task, len(parts), total)
    return _boxes(Detections.concatenate(parts))


def _boxes(detections: Detections) -> Detections:
    return replace(detections, masks=None)


def _judged(name: str, before: Scored, after: Scored, seed: int, start: float, what: str) -> Audit:
    fall = drop(before, after, paired=name == "altered-images")
    bound = MARGINS[name] + CERTAIN * fall.error
    lost = fall.before - fall.after
    images, boxes = len(after.dataset.images), int((~after.labels.crowd).sum())
    verdict = "more than chance and honest detectors allow" if lost > bound else "within what honest detectors lose"
    return Audit(
        name=name,
        passed=lost <= bound,
        measured=Figure(value=lost, unit="AP", n=images),
        bound=bound,
        evidence={
            "ap_scored": coco_ap(before),
            "ap_audited": coco_ap(after),
            "pooled_ap_scored": Figure(value=fall.before, unit="AP", n=int((~before.labels.crowd).sum())),
            "pooled_ap_audited": Figure(value=fall.after, unit="AP", n=boxes),
            "standard_error": Figure(value=fall.error, unit="AP", n=images),
            "time": Figure(value=1000 * (time.perf_counter() - start), unit="ms", n=images),
        },
        seed=seed,
        explanation=f"AP over all categories together falls by {100 * lost:.1f} on {what}, {verdict}",
    )


def _undone(name: str, why: str) -> Audit:
    return Audit(name=name, passed=None, explanation=f"not done: {why}")
