"""The pipeline: one submission in, one scorecard out.

Everything flows one way: file → detector in its own process → detections → measures → record. Only this module knows
them all.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wildbench.categories import canonical
from wildbench.datasets.coco import Dataset
from wildbench.datasets.detection_checks import suspect
from wildbench.datasets.images import decode, read_ahead
from wildbench.datasets.label_checks import lines
from wildbench.datasets.masks import encode_mask
from wildbench.datasets.predictions import read_predictions, write_predictions
from wildbench.datasets.registry import load_dataset
from wildbench.environment import describe_environment
from wildbench.errors import DatasetError, OutputError, SubmissionError
from wildbench.files import check_writable, sha256_of
from wildbench.measures.accuracy import measure_accuracy, measure_errors
from wildbench.measures.compute import measure_compute, operands_of
from wildbench.measures.latency import Stopwatch
from wildbench.measures.matching import ENGINE
from wildbench.measures.size import size_of
from wildbench.progress import Progress, silent
from wildbench.scorecard import Accuracy, Errors, Protocol, Scorecard, Submission
from wildbench.submissions.contract import Manifest
from wildbench.submissions.inspection import inspect_submission
from wildbench.submissions.process import Sandbox
from wildbench.submissions.sniff import Kind

if TYPE_CHECKING:
    from wildbench.submissions.process import Detections

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
        out: Scorecard to write, by default `scorecards/SUBMISSION.json`; detections and images go beside it.
        progress: Called as `progress(task, done, total)`.

    Returns:
        The scorecard that was written.

    Raises:
        WildbenchError: What the user can mend, in one line; no scorecard is written then.

    Example:
        >>> card = evaluate("submission.pt", dataset="parksim")  # doctest: +SKIP
        >>> card.accuracy.ap50.value  # doctest: +SKIP
        0.63
    """
    submission = Path(submission)
    out = default_card(submission) if out is None else Path(out)
    sandbox = Sandbox(submission, device=device, trust=trust)  # refuses what must not be opened, before long work
    inspection = inspect_submission(submission)
    check_writable(out)
    data = load_dataset(dataset, split=split, images=images, limit=limit, progress=progress)
    category_ids = known_categories(sandbox.manifest, data)
    watch = Stopwatch()
    with sandbox as box:
        manifest, kind = box.manifest, box.kind
        results = _detect(box, data, category_ids, watch, progress)
        latency = watch.latency(box)  # before counting, which takes memory of its own
        compute = measure_compute(box, [decode(path) for path in _sample(data)], operands_of(inspection))
    accuracy = _score(data, results, out, scored=set(category_ids.values()))
    card = Scorecard(
        submission=_describe(submission, manifest, kind),
        protocol=Protocol(engine=ENGINE, trusted=trust),
        dataset=data.record(limit),
        accuracy=accuracy,
        size=size_of(inspection),
        compute=compute,
        latency=latency,
        errors=_explain(data, results, out, scored=set(category_ids.values())),
        notes=_notes(data, results),
        environment=describe_environment(),
    )
    card.write(out)
    return card


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
        out: Scorecard to write, by default `scorecards/PREDICTIONS.score.json`; detections and images go beside it.

    Raises:
        WildbenchError: What the user can mend, in one line; nothing is written then.
    """
    predictions = Path(predictions)
    out = default_card(predictions) if out is None else Path(out)
    check_writable(out)
    if predictions.resolve() in (out.resolve(), kept_predictions(out).resolve()):
        raise OutputError(f"{out}: would replace the predictions that are scored", remedy="choose another --out")
    whole = load_dataset(dataset, split=split, images=images, with_images=False)
    data = whole.take(limit)
    kept = {image["id"] for image in data.images}
    results = [result for result in read_predictions(predictions, whole) if result["image_id"] in kept]
    card = Scorecard(
        submission=Submission(
            name=predictions.stem, file=predictions.name, sha256=sha256_of(predictions), format="coco-results"
        ),
        protocol=Protocol(engine=ENGINE),
        dataset=data.record(limit),
        accuracy=_score(data, results, out, scored=None),
        size=None,
        compute=None,
        latency=None,
        errors=_explain(data, results, out, scored=None),
        notes=_notes(data, results),
        environment=describe_environment(),
    )
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
                f"{data.name}: its category {category['name']!r} has the name of another", remedy="rename one of them"
            )
    names = {label: canonical(name) for label, name in manifest.label_names.items()}
    matched = {label: ids[name] for label, name in names.items() if name in ids}
    if not matched:
        raise SubmissionError(
            f"{manifest.name}: none of its {len(manifest.categories)} categories is in {data.name} "
            f"({', '.join(data.category_names[:5])}, ...)",
            remedy='name the pairs under "category_map" in the manifest',
        )
    return matched


def _detect(
    box: Sandbox, data: Dataset, category_ids: dict[int, int], watch: Stopwatch, progress: Progress
) -> list[dict[str, Any]]:
    """Show every image to the detector; each answer is a detection list and a latency sample at once."""
    task = f"evaluate {box.manifest.name}"
    paths = [data.image_path(image) for image in data.images]
    results: list[dict[str, Any]] = []
    watch.warm_up(box, [decode(path) for path in _sample(data)[:WARM_UP]])
    progress(task, 0, len(paths))
    for done, (image, pixels) in enumerate(zip(data.images, read_ahead(paths), strict=True), start=1):
        answer = box.predict(pixels)
        watch.add(answer)
        watch.interleave_reference(box)
        results += as_results(image["id"], answer.detections, category_ids)
        progress(task, done, len(paths))
    return results


def as_results(image_id: int, detections: Detections, category_ids: dict[int, int]) -> list[dict[str, Any]]:
    """Turn one image's detections into COCO results, in thousandths of a pixel.

    Labels without a category in the data set are dropped. The results are kept and scored as they are here.
    """
    corners = detections.boxes.astype(np.float64)
    boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]).round(3).tolist()
    results = []
    for index, label in enumerate(detections.labels.tolist()):
        if label not in category_ids:
            continue
        result: dict[str, Any] = {
            "image_id": image_id,
            "category_id": category_ids[label],
            "bbox": boxes[index],
            "score": float(str(detections.scores[index])),  # the shortest number that is this float32: order is kept
        }
        if detections.masks is not None:
            result["segmentation"] = encode_mask(detections.masks[index])
        results.append(result)
    return results


def _sample(data: Dataset) -> list[Path]:
    """The images MACs are counted on: every k-th, up to `MAX_COUNTED`, and at most a fortieth of a large split."""
    wanted = min(MAX_COUNTED, max(2, len(data.images) // 40), len(data.images))
    chosen = np.linspace(0, len(data.images) - 1, wanted).round().astype(int)
    return [data.image_path(data.images[index]) for index in chosen]


def _score(data: Dataset, results: list[dict[str, Any]], out: Path, scored: set[int] | None) -> Accuracy:
    """Keep the detections beside the scorecard, and score them."""
    predictions = kept_predictions(out)
    return measure_accuracy(
        data,
        results,
        predictions_file=predictions.name,
        predictions_sha256=write_predictions(results, predictions),
        scored_categories=scored,
    )


def _explain(data: Dataset, results: list[dict[str, Any]], out: Path, scored: set[int] | None) -> Errors:
    """Keep the scores of each image beside the scorecard, and explain the errors."""
    return measure_errors(data, results, images_file=out.with_name(f"{out.stem}.images.csv"), scored_categories=scored)


def _notes(data: Dataset, results: list[dict[str, Any]]) -> list[str]:
    """What looks wrong, though it can be scored."""
    return lines([*data.warnings, *suspect(results, data)])


def _describe(path: Path, manifest: Manifest, kind: Kind) -> Submission:
    """The submission's part of the record."""
    return Submission(
        name=manifest.name,
        file=path.name,
        sha256=sha256_of(path),
        format=kind,
        detector=manifest.detector.name,
        authors=manifest.authors,
        licence=manifest.licence,
        method=manifest.method,
        training_data=manifest.training_data,
        parent=manifest.parent,
    )
