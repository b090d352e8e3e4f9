"""Mistakes in a manifest that nothing refuses: the detector runs, and finds little.

Corners read as centres, a scale of 0-1 where the network takes 0-255, blue for red, labels shifted by one: each gives
valid detections. Whether one was made shows on a few images with boxes, seen again as other manifests say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from wildbench.datasets.coco import Dataset, Floats, Labels, subset
from wildbench.datasets.findings import Finding
from wildbench.datasets.predictions import Detections
from wildbench.errors import WrongOutput
from wildbench.measures.matching import TRUE, Scored
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.output import DescribedOutput
from wildbench.submissions.process import ask
from wildbench.submissions.survey import Predicted, Probe, misread_form

if TYPE_CHECKING:
    from wildbench.submissions.process import Sandbox

MOST_IMAGES = 16
"""Images with boxes on which it is looked for, evenly spaced."""

LOOKS = (48, 96, 192, 384)
"""Images with boxes after which the order of the colours is judged, as long as the other one seems better."""

LEAST_BOXES = 8
"""On these images: fewer tell nothing."""

LOW = 0.5
"""AP50 below which every mistake is looked for; above it only the order of the colours, which costs little AP."""

MARGIN = 0.2
"""By how much AP50 must be higher, and at least twice as high, for a manifest to be called wrong."""

ALIKE = 0.02
"""Differences of AP50 that decide nothing: of two mistakes that explain as much, the simpler one is named."""

SURE = 3.0
"""Standard errors by which boxes are found with higher scores in the other order of the colours, to call them swapped.

It costs YOLOX-Nano two points of AP50. On 90 photographs with boxes or more it is always noticed, on 73 of parksim's
images never. Of detectors to which the order means nothing three in a thousand come so far."""

LEAST_GAIN = 0.015
"""Mean gain of these scores."""

LEAST_COLOUR_BOXES = 24

FORMS = {"xyxy": "corners", "cxcywh": "centres", "xywh": "corner-and-sides", "yxyx": "corners-y-first"}
UNITS = {"pixels": "fractions", "fractions": "pixels"}
CHANNELS = {"rgb": "bgr", "bgr": "rgb"}
SCALES = {"0-1": "0-255", "0-255": "0-1"}

ANSWERS = TypeAdapter(list[Predicted])


@dataclass(frozen=True)
class Reading:
    """Another manifest, or another meaning of the labels.

    Attributes:
        code: The mistake's short name.
        key: Of the manifest.
        words: What to say there instead.
        manifest: As the child takes it.
        shift: What is added to each label.
    """

    code: str
    key: str
    words: str
    manifest: Manifest
    shift: int = 0


def find_misreadings(box: Sandbox, scored: Scored, category_ids: Mapping[int, int]) -> list[Finding]:
    """Find the mistake in an open submission's manifest, if there is one that a few images show.

    Args:
        box: The open submission. The network runs again on a few images: look after the timing is done.
        scored: What it found by its manifest; the data set has its images.
        category_ids: From the labels that the data set knows to its category ids.

    Returns:
        One finding, or none; none where the detector is weak by itself.

    Raises:
        DetectorError: It crashed, hung, ran out of memory or answered with nonsense.
    """
    format = box.admitted.format
    if not format.suffix or (box.admitted.signature is None and not format.runs_code):
        return []  # an adapter, which prepares images itself, or an archive that says what it takes
    known = set(category_ids.values())
    sample = _sample(scored.dataset, known, MOST_IMAGES)
    if len(sample.annotations) < LEAST_BOXES:
        return _ill_formed(box, scored.dataset)
    base = ap50(replace(scored, dataset=sample, detections=_of_images(scored.detections, sample)))
    finding = _misread(box, sample, base, category_ids) if base < LOW else None
    if finding is None:
        finding = _swapped(box, scored, category_ids)
    return [finding] if finding else _ill_formed(box, scored.dataset) if base < LOW else []


def _ill_formed(box: Sandbox, data: Dataset) -> list[Finding]:
    """Whether the numbers themselves contradict the form of the boxes, however few of them fit a label."""
    from wildbench.datasets.images import decode

    image = decode(data.image_path(data.images[0]))
    form = misread_form(box.manifest, ask(box, "wildbench.submissions.survey:probe", Probe, image))
    remedy = "compare how the detector was trained"
    return [Finding("manifest-misread", "output.boxes", f"box-form: {form}", remedy, "warning")] if form else []


def _misread(box: Sandbox, sample: Dataset, base: float, category_ids: Mapping[int, int]) -> Finding | None:
    """The reading that is better by far than the stated one, with AP50 `base`."""
    stated = _every_label(box.manifest)
    readings = [*_inputs(stated), *_forms(stated, box)]
    if len({entry["category_id"] for entry in sample.annotations}) > 1:
        readings += [Reading("labels-shifted", "categories", _shift(by), stated, by) for by in (1, -1)]
    results = _detect(box, sample, readings, category_ids)
    scores = [ap50(result) for result in results]
    best = next(place for place, score in enumerate(scores) if score >= max(scores) - ALIKE)
    reading = readings[best]
    if scores[best] < max(base + MARGIN, 2 * base) or (reading.shift and _found_categories(results[best]) < 2):
        return None  # a detector that calls everything by one name may be half right by any
    return _finding(reading, f"AP50 on {len(sample.images)} images is {scores[best]:.2f}, not {base:.2f}")


def _finding(reading: Reading, evidence: str) -> Finding:
    message = f"{reading.code}: with {reading.words} {evidence}"
    return Finding("manifest-misread", reading.key, message, "compare how the detector was trained", "warning")


def _every_label(manifest: Manifest) -> Manifest:
    """The manifest with names that keep every label, also those that name nothing or are not mapped."""
    names = [f"label {label}" for label in range(1, len(manifest.categories) + 1)]
    return manifest.model_copy(update={"categories": names, "category_map": {}})


def ap50(scored: Scored) -> float:
    """Mean over the categories with boxes; 0 where there is none."""
    precision = scored.arrays["precision"][0, :, :, 0, -1]
    known = precision[:, (precision > -1).all(axis=0)]
    return float(known.mean()) if known.size else 0.0


def _shift(by: int) -> str:
    names, label = ("next", "-1") if by > 0 else ("previous", "+1")
    return f"each label as that of the {names} category (the list, or `first`, is off by {label})"


def _sample(data: Dataset, known: set[int], most: int) -> Dataset:
    """Images with boxes of these categories that count, evenly spaced, with these boxes."""
    ids = _boxed_ids(data, known)
    chosen = np.linspace(0, len(ids) - 1, min(most, len(ids))).round().astype(int)
    return _of(data, known, [ids[place] for place in chosen])


def _boxed_ids(data: Dataset, known: set[int]) -> list[int]:
    """Ids of images with boxes of these categories that count."""
    return [
        image["id"]
        for image in data.images
        if any(
            not entry["iscrowd"] and entry["category_id"] in known & data.scored_categories(image)
            for entry in data.boxes(image["id"])
        )
    ]


def _of(data: Dataset, known: set[int], ids: Sequence[int]) -> Dataset:
    """These images, with their boxes of these categories."""
    coco = subset(data.coco, set(ids))
    return replace(data, coco={**coco, "annotations": [e for e in coco["annotations"] if e["category_id"] in known]})


def _of_images(detections: Detections, sample: Dataset) -> Detections:
    return detections[np.isin(detections.image_ids, [image["id"] for image in sample.images])]


def _detect(
    box: Sandbox, sample: Dataset, readings: Sequence[Reading], category_ids: Mapping[int, int]
) -> list[Scored]:
    """What is found by each reading; the network runs once for each input that they take."""
    from wildbench.datasets.images import decode

    parts: list[list[Detections]] = [[] for _ in readings]
    manifests = [reading.manifest.model_dump(mode="json") for reading in readings]
    for image in sample.images:
        reply = box.call(
            "wildbench.submissions.survey:predict_as", decode(sample.image_path(image)), manifests=manifests
        )
        try:
            answers = ANSWERS.validate_python(reply)
        except ValidationError:
            raise WrongOutput(f"{box.path.name}: its process answered with no detections", code="garbled") from None
        for part, reading, answer in zip(parts, readings, answers, strict=True):
            part.append(_named(image["id"], answer, reading.shift, category_ids))
    known = frozenset(category_ids.values())
    return [Scored(sample, Detections.concatenate(part), known) for part in parts]


def _named(image_id: int, answer: Predicted, shift: int, category_ids: Mapping[int, int]) -> Detections:
    labels = [label + shift for label in answer.labels]
    known = np.array([label in category_ids for label in labels], dtype=np.bool_)
    ids = np.array([category_ids[label] for label in labels if label in category_ids], dtype=np.int64)
    corners = np.array(answer.boxes, dtype=np.float64).reshape(-1, 4)
    scores = np.clip(np.array(answer.scores, dtype=np.float64), 0, 1)
    boxes = np.hstack([corners[known, :2], corners[known, 2:] - corners[known, :2]])
    return Detections(np.full(len(boxes), image_id), ids, boxes, scores=scores[known])


def _inputs(manifest: Manifest) -> Iterator[Reading]:
    """Another order of the colours, another scale, and both; bytes have one scale only."""
    contract = manifest.input
    yield _with_input(manifest, "channel-order", "channels", CHANNELS[contract.channels])
    if contract.dtype == "uint8":
        return
    scale = SCALES[contract.scale]
    yield _with_input(manifest, "scale", "scale", scale)
    both = _with_input(manifest, "scale", "scale", scale).manifest
    words = f"input.scale {scale!r} and input.channels {CHANNELS[contract.channels]!r}"
    yield replace(_with_input(both, "scale-and-channels", "channels", CHANNELS[contract.channels]), words=words)


def _with_input(manifest: Manifest, code: str, key: str, value: str) -> Reading:
    changed = manifest.input.model_copy(update={key: value})
    other = manifest.model_copy(update={"input": changed})
    return Reading(code, f"input.{key}", f"input.{key} {value!r}", other)


def _forms(manifest: Manifest, box: Sandbox) -> Iterator[Reading]:
    """Other forms of decoded boxes, and the other unit: they only decode the same answer again."""
    signature = box.admitted.signature
    contract = manifest.output.described([port.name for port in signature.outputs] if signature else [])
    form, unit = contract.boxes.form, contract.boxes.unit
    if form not in FORMS or unit not in UNITS:
        return
    for other in FORMS.keys() - {form}:
        yield _with_boxes(manifest, contract, f"{FORMS[other]}-as-{FORMS[form]}", "form", other)
    yield _with_boxes(manifest, contract, f"{UNITS[unit]}-as-{unit}", "unit", UNITS[unit])


def _with_boxes(manifest: Manifest, contract: DescribedOutput, code: str, key: str, value: str) -> Reading:
    boxes = contract.boxes.model_copy(update={key: value})
    other = manifest.model_copy(update={"output": contract.model_copy(update={"boxes": boxes})})
    return Reading(code, "output.boxes", f"output.boxes.{key} {value!r}", other)


def _found_categories(scored: Scored) -> int:
    """Categories of which a box is found."""
    matches = scored.matches
    spans = zip(matches.start[:-1], matches.start[1:], strict=True)
    return sum(bool((matches.outcome[0, 0, begin:end] == TRUE).any()) for begin, end in spans)


def _swapped(box: Sandbox, scored: Scored, category_ids: Mapping[int, int]) -> Finding | None:
    """Boxes are found with clearly higher scores in the other order of the colours, and as many of them."""
    reading = next(_inputs(_every_label(box.manifest)))
    known = set(category_ids.values())
    ids = _boxed_ids(scored.dataset, known)
    np.random.default_rng(0).shuffle(ids)
    parts: list[Detections] = []
    for before, most in pairwise((0, *LOOKS)):
        [found] = _detect(box, _of(scored.dataset, known, ids[before:most]), [reading], category_ids)
        parts.append(found.detections)
        sample = _of(scored.dataset, known, ids[:most])
        other = replace(found, dataset=sample, detections=Detections.concatenate(parts))
        stated = replace(scored, dataset=sample, detections=_of_images(scored.detections, sample))
        gains = _best_scores(other) - _best_scores(stated)
        errors = _standard_errors(gains, stated.labels.image_ids)
        if len(gains) >= LEAST_COLOUR_BOXES and errors >= SURE and gains.mean() >= LEAST_GAIN:
            if ap50(other) < ap50(stated) - ALIKE:
                return None
            evidence = f"{(gains > 0).sum()} boxes are found with higher scores and {(gains < 0).sum()} with lower ones"
            return _finding(reading, f"{evidence}, on average by {gains.mean():.2f}; {errors:.1f} standard errors")
        if errors < 0 or most >= len(ids):
            return None
    return None


def _standard_errors(gains: Floats, image_ids: npt.NDArray[np.int64]) -> float:
    """By how many standard errors gains are above 0: Wilcoxon's signed ranks, where those of one image may be alike."""
    from scipy.stats import rankdata

    ranks = np.sign(gains) * rankdata(np.abs(gains))
    sums = np.bincount(np.unique(image_ids, return_inverse=True)[1], ranks)
    return float(sums.sum() / max(1e-9, np.sqrt((sums**2).sum())))


def _best_scores(scored: Scored) -> Floats:
    """Of each box, the best score of a detection of its category that overlaps it by half; 0 for none."""
    labels: Labels = scored.labels
    best = np.zeros(len(labels))
    for image_id in np.unique(labels.image_ids):
        places = np.flatnonzero(labels.image_ids == image_id)
        mine = scored.detections.of_image(int(image_id))
        overlaps = _overlaps(labels.xyxy[places], mine.xyxy)
        same = labels.category_ids[places][:, None] == mine.category_ids[None, :]
        best[places] = np.where(same & (overlaps >= 0.5), mine.scores[None, :], 0).max(axis=1, initial=0)
    return best


def _overlaps(first: Any, second: Any) -> Floats:  # noqa: ANN401 - n x 4, xyxy
    """Intersection over union of every pair."""
    low, high = np.maximum(first[:, None, :2], second[None, :, :2]), np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (first, second)]
    overlaps: Floats = shared / np.maximum(areas[0][:, None] + areas[1][None, :] - shared, 1e-9)
    return overlaps
