"""The pipeline: one submission in, one scorecard out.

Everything flows one way: file → detector in its own process → detections → measures → record. Only this module knows
them all.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wildbench.categories import canonical
from wildbench.datasets.coco import Dataset, objects
from wildbench.datasets.detection_checks import suspect
from wildbench.datasets.label_checks import lines
from wildbench.datasets.masks import encode_mask
from wildbench.datasets.predictions import Detections, read_predictions, results_bytes
from wildbench.datasets.registry import load_dataset
from wildbench.environment import describe_environment
from wildbench.errors import DatasetError, OutputError, SubmissionError
from wildbench.files import check_writable, sha256_of, write_atomically
from wildbench.measures import Evidence, measure_added
from wildbench.measures.accuracy import measure_accuracy
from wildbench.measures.diagnosis import measure_errors
from wildbench.measures.scored import ENGINE, Scored
from wildbench.progress import Progress, silent
from wildbench.scorecard import Compute, Latency, Protocol, Scorecard, Size, Submission

if TYPE_CHECKING:
    from wildbench.measures.latency import Stopwatch
    from wildbench.submissions.contract import Manifest
    from wildbench.submissions.process import Detections as Answered
    from wildbench.submissions.process import Sandbox

WARM_UP = 3
"""Images the detector is warmed up on."""

MAX_COUNTED = 16
"""Images over which MACs are counted, at most; evenly spaced through the split."""


def evaluate(
    submission: Path | str,
    *,
    dataset: Path | str = "parksim",
    images: Path | None = None,
    split: str = "test",
    device: str = "auto",
    limit: int | None = None,
    trust: bool = False,
    out: Path | str | None = None,
    progress: Progress = silent,
) -> Scorecard:
    """Measure a submission: accuracy, size, compute and latency.

    Args:
        submission: A `.pt`, `.onnx` or `.pt2` file.
        dataset: A registered name, or the path of any COCO detection JSON.
        images: Folder of the images, where it is not near the JSON.
        split: Split of a registered data set.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        limit: Use only the first `limit` images.
        trust: Open TorchScript and `.pt2`, which can run code in the file.
        out: Scorecard to write; detections and images go beside it. Nothing is written where it is None.
        progress: Called as `progress(task, done, total)`.

    Raises:
        WildbenchError: What the user can mend, in one line; no scorecard is written then.

    Example:
        >>> card = evaluate("submission.pt", dataset="parksim")  # doctest: +SKIP
        >>> card.accuracy.ap50.value  # doctest: +SKIP
        0.63
    """
    from wildbench.datasets.images import decode  # here and below: what only running a detector needs
    from wildbench.measures.compute import measure_compute, operands_of
    from wildbench.measures.latency import Stopwatch
    from wildbench.measures.size import size_of
    from wildbench.submissions.inspection import inspect_submission
    from wildbench.submissions.process import Sandbox

    submission, out = Path(submission), None if out is None else Path(out)
    sandbox = Sandbox(submission, device=device, trust=trust)  # refuses what must not be opened, before long work
    inspection = inspect_submission(submission)
    if out:
        check_writable(out)
    data = load_dataset(dataset, split=split, images=images, limit=limit, progress=progress)
    category_ids = known_categories(sandbox.manifest, data)
    watch = Stopwatch()
    with sandbox as box:
        manifest, kind = box.manifest, box.kind
        detections = _detect(box, data, category_ids, watch, progress)
        latency = watch.latency(box)  # before counting, which takes memory of its own
        compute = measure_compute(box, [decode(path) for path in _sample(data)], operands_of(inspection))
    described = Submission(
        name=manifest.name,
        file=submission.name,
        sha256=sha256_of(submission),
        format=kind,
        detector=manifest.detector.name,
        authors=manifest.authors,
        licence=manifest.licence,
        method=manifest.method,
        training_data=manifest.training_data,
        parent=manifest.parent,
    )
    return _record(
        Scored(data, detections, frozenset(category_ids.values())),
        described,
        out,
        limit=limit,
        trusted=trust,
        costs=(size_of(inspection), compute, latency),
        submission=submission,
    )


def score(
    predictions: Path | str,
    *,
    dataset: Path | str,
    images: Path | None = None,
    split: str = "test",
    limit: int | None = None,
    out: Path | str | None = None,
) -> Scorecard:
    """Score a COCO results file: accuracy alone, without the model.

    Args:
        predictions: A JSON list of `{"image_id", "category_id", "bbox", "score"}`, boxes x, y, width, height in pixels.
        dataset: A registered name, or the path of any COCO detection JSON.
        images: Folder of the images, where it is not near the JSON.
        split: Split of a registered data set.
        limit: Use only the first `limit` images; detections on others are then left out.
        out: Scorecard to write; detections and images go beside it. Nothing is written where it is None.

    Raises:
        WildbenchError: What the user can mend, in one line; nothing is written then.
    """
    predictions, out = Path(predictions), None if out is None else Path(out)
    if out:
        check_writable(out)
        if predictions.resolve() in (out.resolve(), kept_predictions(out).resolve()):
            raise OutputError(
                f"{out}: would replace the predictions that are scored",
                code="replaces-input",
                remedy="choose another --out",
            )
    whole = load_dataset(dataset, split=split, images=images, with_images=False)
    data, detections = whole.take(limit), read_predictions(predictions, whole)
    detections = detections[np.isin(detections.image_ids, [image["id"] for image in data.images])]
    described = Submission(
        name=predictions.stem, file=predictions.name, sha256=sha256_of(predictions), format="coco-results"
    )
    return _record(Scored(data, detections), described, out, limit=limit)


def _record(
    scored: Scored,
    described: Submission,
    out: Path | None,
    *,
    limit: int | None,
    trusted: bool = False,
    costs: tuple[Size | None, Compute | None, Latency | None] = (None, None, None),
    submission: Path | None = None,
) -> Scorecard:
    """Measure detections; write the record, the detections and the figures of each image where `out` says so."""
    card_file = out or Path(default_card(Path(described.file)).name)
    predictions, table_file = kept_predictions(card_file), card_file.with_name(f"{card_file.stem}.images.csv")
    results = results_bytes(scored.detections)
    accuracy = measure_accuracy(
        scored, predictions_file=predictions.name, predictions_sha256=hashlib.sha256(results).hexdigest()
    )
    errors, table = measure_errors(scored, table_file.name)
    size, compute, latency = costs
    card = Scorecard(
        submission=described,
        protocol=Protocol(engine=ENGINE, trusted=trusted),
        dataset=scored.dataset.record(limit),
        accuracy=accuracy,
        size=size,
        compute=compute,
        latency=latency,
        errors=errors,
        notes=lines([*scored.dataset.warnings, *suspect(scored.detections, scored.dataset)]),
        environment=describe_environment(),
    )
    card = card.model_copy(update={"measures": measure_added(Evidence(card, scored, submission))})
    if out:
        write_atomically(predictions, results)
        write_atomically(table_file, table)
        card.write(out)
    return card


def default_card(scored: Path) -> Path:
    """Where the scorecard of a file goes when nobody says: `scorecards/NAME.json`; of detections, `NAME.score.json`.

    Example:
        >>> default_card(Path("models/tiny.onnx")).as_posix(), default_card(Path("tiny.predictions.json")).as_posix()
        ('scorecards/tiny.json', 'scorecards/tiny.score.json')
    """
    if scored.suffix == ".json":
        return Path("scorecards") / f"{scored.stem.removesuffix('.predictions')}.score.json"
    return Path("scorecards") / f"{scored.stem}.json"


def kept_predictions(card: Path) -> Path:
    """Where the detections of a scorecard are kept: beside it."""
    return card.with_name(f"{card.stem}.predictions.json")


def known_categories(manifest: Manifest, data: Dataset) -> dict[int, int]:
    """Match a detector's labels with a data set's category ids, by name, alias or the manifest's `category_map`.

    Args:
        manifest: Lists the detector's categories; label `i` is `categories[i - 1]`.
        data: The data set to detect in.

    Returns:
        Label → category id, for the categories both know.

    Raises:
        SubmissionError: They have no category in common.
        DatasetError: Two categories of the data set are one by their name.
    """
    ids: dict[str, int] = {}
    for category in data.categories:
        if ids.setdefault(canonical(category["name"]), category["id"]) != category["id"]:
            raise DatasetError(
                f"{data.name}: its category {category['name']!r} has the name of another",
                code="category-name-variant",
                remedy="rename one of them",
            )
    names = {label: canonical(name) for label, name in manifest.label_names.items()}
    matched = {label: ids[name] for label, name in names.items() if name in ids}
    if not matched:
        raise SubmissionError(
            f"{manifest.name}: none of its {len(manifest.categories)} categories is in {data.name} "
            f"({', '.join(data.category_names[:5])}, ...)",
            code="no-common-category",
            remedy='name the pairs under "category_map" in the manifest',
        )
    return matched


def _detect(
    box: Sandbox, data: Dataset, category_ids: dict[int, int], watch: Stopwatch, progress: Progress
) -> Detections:
    """Show every image to the detector; each answer is detections and a latency sample at once."""
    from wildbench.datasets.images import decode, read_ahead

    task = f"evaluate {box.manifest.name}"
    paths = [data.image_path(image) for image in data.images]
    parts: list[Detections] = []
    watch.warm_up(box, [decode(path) for path in _sample(data)[:WARM_UP]])
    progress(task, 0, len(paths))
    for done, (image, pixels) in enumerate(zip(data.images, read_ahead(paths), strict=True), start=1):
        answer = box.predict(pixels)
        watch.add(answer)
        watch.interleave_reference(box)
        parts.append(detections_of(image["id"], answer.detections, category_ids))
        progress(task, done, len(paths))
    return Detections.concatenate(parts)


def detections_of(image_id: int, answered: Answered, category_ids: dict[int, int]) -> Detections:
    """One image's detections as the data set has them, in thousandths of a pixel.

    Labels without a category in the data set are dropped. The detections are kept and scored as they are here.
    """
    known = np.isin(answered.labels, list(category_ids))
    corners = answered.boxes[known].astype(np.float64)
    masks = None if answered.masks is None else objects(encode_mask(mask) for mask in answered.masks[known])
    return Detections(
        image_ids=np.full(len(corners), image_id),
        category_ids=np.array([category_ids[label] for label in answered.labels[known].tolist()], dtype=np.int64),
        boxes=np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]).round(3),
        # the shortest number that is this float32: order is kept
        scores=np.array([float(str(score)) for score in answered.scores[known]], dtype=np.float64),
        masks=masks,
    )


def _sample(data: Dataset) -> list[Path]:
    """The images MACs are counted on: every k-th, up to `MAX_COUNTED`, and at most a fortieth of a large split."""
    wanted = min(MAX_COUNTED, max(2, len(data.images) // 40), len(data.images))
    chosen = np.linspace(0, len(data.images) - 1, wanted).round().astype(int)
    return [data.image_path(data.images[index]) for index in chosen]
