"""Frühwirth, "Structured Filter Pruning applied to Mask R-CNN", 2024: his figures, and what the network really takes.

He prunes a Mask R-CNN after training by "Global Kernel Level Filter Pruning" with the L1 norm, and reports that it
stays accurate to 40 %, with a compression ratio of 1.25 and an IoU@0.5 of 0.72. What is pruned can be read in more than
one way: here each is done to the zoo's Mask R-CNN R50-FPN and saved, and the bytes say which gives his ratio.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from studies.papers.own_sweeps import COMPARE, mean_over_dense, where, whose
from wildbench.categories import CATEGORIES
from wildbench.compression.recipes import parse_recipe
from wildbench.compression.subject import Subject, Workshop
from wildbench.datasets.coco import Dataset
from wildbench.detectors import zoo
from wildbench.measures.compute import count_macs
from wildbench.progress import Progress, silent
from wildbench.submissions.archive import save_submission
from wildbench.submissions.manifest import parse_manifest

if TYPE_CHECKING:
    from wildbench.scorecard import Figure
    from wildbench.sweeps.record import Measured, PointRecord, Summary

DETECTOR = "maskrcnn_resnet50_fpn"
SIDE, PROPOSALS, DETECTIONS = 320, 1000, 100
"""Pixels of a side of the image that MACs are counted on, and how often the box head and the mask head run."""

FEW = {"rpn_post_nms_top_n_test": 20, "box_detections_per_img": 5, "box_score_thresh": 0.0}
"""So few are run, and counted up to these."""

PERCENT = (0, 10, 20, 30, 40)
RATIO, IOU = 1.25, 0.72
"""What he reports at 40 %."""


@dataclass(frozen=True)
class Reading:
    """One reading of what he prunes.

    Attributes:
        title: In words.
        step: Of a recipe, without its ratio.
        codec: Chain of codecs that its file is saved with.
    """

    title: str
    step: dict[str, str]
    codec: str


_FILTERS = {"method": "filters", "importance": "l1", "distribution": "global"}
READINGS = (
    Reading("filters of the whole network removed", {**_FILTERS, "scope": "all"}, "raw"),
    Reading("filters of the backbone removed", {**_FILTERS, "scope": "backbone"}, "raw"),
    Reading("the same share of each layer removed", {**_FILTERS, "scope": "all", "distribution": "uniform"}, "raw"),
    Reading(
        "kernels larger than 1 x 1 zeroed, bitmask",
        {"method": "kernels", "scope": "all"},
        "sparse",
    ),
    Reading(
        "the backbone's kernels larger than 1 x 1 zeroed, bitmask",
        {"method": "kernels", "scope": "backbone"},
        "sparse",
    ),
)


@dataclass(frozen=True)
class Cost:
    """What a pruned network takes.

    Attributes:
        parameters: That are left and not zero.
        macs: An image.
        file_bytes: Of its file.
    """

    parameters: int
    macs: int
    file_bytes: int


def measure(
    progress: Progress = silent, readings: Sequence[Reading] = READINGS, percent: Sequence[int] = PERCENT
) -> dict[str, list[Cost]]:
    """Prune the network by each reading to each ratio, and save it.

    Its weights are random, as torchvision draws them. That matters where filters of all layers are ranked together:
    how many go from which layer depends on the layers' norms.

    Args:
        progress: Called as `progress(task, done, total)`.
        readings: Which.
        percent: To which ratios.

    Returns:
        By the reading's title.
    """
    arguments: dict[str, Any] = {"min_size": SIDE, "max_size": SIDE, **FEW}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = zoo.build(DETECTOR, len(CATEGORIES), **arguments).eval()
    detector = {"name": DETECTOR, "arguments": arguments}
    manifest = parse_manifest({"name": "network", "detector": detector, "categories": list(CATEGORIES)}, DETECTOR)
    workshop = Workshop(model, Dataset("none", None, {}, Path()))
    found: dict[str, list[Cost]] = {}
    done = 0
    for reading in readings:
        for share in percent:
            progress("prune Mask R-CNN", done, len(readings) * len(percent))
            subject = Subject(copy.deepcopy(model), manifest)
            document = {"summary": reading.title, "steps": [{**reading.step, "ratio": share / 100}]}
            (step,) = parse_recipe(document).steps
            if share:
                step.apply(subject, workshop)
            found.setdefault(reading.title, []).append(_cost(subject, reading.codec))
            done += 1
    progress("prune Mask R-CNN", done, done)
    return found


def _cost(subject: Subject, codec: str) -> Cost:
    detector = subject.manifest.detector
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.pt"
        save_submission(
            subject.model,
            path,
            detector=detector.name,
            arguments=detector.arguments,
            categories=subject.manifest.categories,
            codec=codec,
        )
        size = path.stat().st_size
    nonzero = sum(int(parameter.count_nonzero()) for parameter in subject.model.parameters())
    return Cost(nonzero, _macs(subject.model), size)


@torch.inference_mode()
def _macs(model: nn.Module) -> int:
    """MACs of an image with as many proposals and detections as the network takes at most."""
    image = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    count = count_macs(lambda: model([image]), model)
    boxes, masks = count.stages
    trunk = count.macs - boxes.macs - masks.macs
    return trunk + PROPOSALS * boxes.macs // boxes.regions + DETECTIONS * masks.macs // masks.regions


def sections(
    measured: Mapping[str, Sequence[Cost]] | None, own: Sequence[Summary]
) -> tuple[list[list[list[str]]], list[str]]:
    """A section for each reading, and what stands below.

    Args:
        measured: Of `measure`; None to leave it out.
        own: Of the sweeps that repeat the experiment on detectors of ours.
    """
    blank = ["-"] * (len(PERCENT) - 1)
    found = [[["compression ratio, reported", *blank, f"{RATIO}"], ["IoU@0.5, reported", *blank, f"{IOU}"]]]
    for reading in READINGS:
        lines = [] if measured is None else _cost_lines(measured[reading.title])
        for title, figure, scale, digits in FIGURES:
            for sweep in own:
                means = [mean_over_dense(sweep, _chosen(reading, percent), figure) for percent in PERCENT]
                if any(mean is not None for mean in means[1:]):
                    cells = ("-" if mean is None else f"{scale * mean:.{digits}f}" for mean in means)
                    lines.append([f"{title}, {where(sweep)}", *cells])
        if lines:
            found.append([[f"{reading.title}:", *[""] * len(PERCENT)], *lines])
    notes = [] if measured is None else [_verdict(measured), COUNTED]
    return found, [*notes, *([OVERLAPS, *map(whose, own), COMPARE] if own else [UNMEASURED])]


FIGURES: tuple[tuple[str, Callable[[Measured], Figure | None], int, int], ...] = (
    ("mean IoU@0.5", lambda one: one.figures.get("mean_iou50"), 1, 2),
    ("AP50 in %", lambda one: one.figures.get("ap50"), 100, 1),
)
"""Of ours: title, figure, scale and digits."""

COUNTED = (
    f"Random weights. GMAC: an image of {SIDE} x {SIDE}, {PROPOSALS} proposals, {DETECTIONS} masks; zeroed kernels "
    "save none. They save no byte either, unless the file leaves zeros out, as here: a bit tells of each weight."
)
OVERLAPS = (
    "Mean IoU@0.5: he does not say which detections his is over, nor whether it is of boxes or of masks; ours is of "
    "boxes, over those at the score of best F1. It says nothing of animals that are not found: a detector that has "
    "lost nearly all AP50 still places the little that it finds, and one that finds nothing has none."
)
UNMEASURED = (
    "Mean IoU and AP50 of ours are not measured: the sweeps `fruehwirth` and `fruehwirth-wildlife` have left no record."
)


def _cost_lines(costs: Sequence[Cost]) -> list[list[str]]:
    return [
        ["million parameters not zero", *(f"{one.parameters / 1e6:.2f}" for one in costs)],
        ["GMAC", *(f"{one.macs / 1e9:.1f}" for one in costs)],
        ["MB of the file", *(f"{one.file_bytes / 1e6:.1f}" for one in costs)],
        ["old size / new size", *(f"{ratio(costs, index):.2f}" for index in range(len(costs)))],
    ]


def ratio(costs: Sequence[Cost], index: int) -> float:
    """Old size over new size."""
    return costs[0].file_bytes / costs[index].file_bytes


def _verdict(measured: Mapping[str, Sequence[Cost]]) -> str:
    """Which reading comes nearest to his ratio."""
    ratios = {title: ratio(costs, -1) for title, costs in measured.items()}
    title = min(ratios, key=lambda title: abs(ratios[title] - RATIO))
    return f"Nearest to {RATIO} at {PERCENT[-1]} %: {title}, {ratios[title]:.3f}."


def _chosen(reading: Reading, percent: int) -> Callable[[PointRecord], bool] | None:
    return (lambda point: _is(point, reading, percent)) if percent else None


def _is(point: PointRecord, reading: Reading, percent: int) -> bool:
    """Whether a point is pruned by a reading, and nothing else was done."""
    if len(point.steps) != 1:
        return False
    done: dict[str, Any] = {"method": point.steps[0].method, **point.steps[0].settings}
    return all(done.get(key) == value for key, value in {**reading.step, "ratio": percent / 100}.items())
