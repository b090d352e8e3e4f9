"""Scoring detections made in Python: a model in memory, any callable, or a loop of your own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from wildbench.categories import GENERIC, canonical
from wildbench.datasets.coco import Dataset, Ints, Objects
from wildbench.datasets.detection_checks import suspect
from wildbench.datasets.findings import Finding, lines
from wildbench.datasets.outputs import synonyms
from wildbench.datasets.predictions import Detections, results_bytes
from wildbench.datasets.registry import load_dataset
from wildbench.environment import describe_environment
from wildbench.errors import DatasetError, PredictionsError, SubmissionError
from wildbench.files import check_writable, write_atomically
from wildbench.measures import Evidence, measure_added
from wildbench.measures.accuracy import measure_accuracy
from wildbench.measures.audits import audit_exact
from wildbench.measures.diagnosis import measure_errors
from wildbench.measures.field import Slices, measure_field, operating_point, slice_values, stated_threshold
from wildbench.measures.matching import ENGINE, Scored
from wildbench.progress import Progress, silent
from wildbench.scorecard import Audit, Compute, Execution, Isolation, Latency, Protocol, Scorecard, Size, Submission

if TYPE_CHECKING:
    from wildbench.submissions.admission import Admitted

Image = npt.NDArray[np.uint8]
"""uint8, H x W x 3, RGB."""

Detector = Callable[[Any], Any]
"""An `nn.Module` that keeps torchvision's contract, or a function from an image to boxes, labels and scores."""


class Evaluator:
    """Scores the detections of a loop of your own, as `score` scores a file of them.

    Args:
        dataset: A registered name, the path of any COCO detection JSON, or a `Dataset`.
        split: Split of a registered data set.
        images: Folder of the images, where it is not near the JSON; they are looked for when `images()` is called.
        limit: Use only the first `limit` images.
        categories: What labels mean: label i is `categories[i - 1]`. None where they are names or ids of the data set.

    Raises:
        DatasetError: As `load_dataset`.
        SubmissionError: `no-common-category`: none of `categories` is in the data set.

    Example:
        >>> evaluator = Evaluator("parksim", limit=1)
        >>> image_id = evaluator.dataset.images[0]["id"]
        >>> x, y, width, height = evaluator.dataset.labels.boxes[0]
        >>> label = evaluator.dataset.labels.category_ids[0]
        >>> evaluator.update(image_id, [[x, y, x + width, y + height]], [0.9], [label]).compute().accuracy.ar_1.value
        1.0
    """

    def __init__(
        self,
        dataset: Dataset | Path | str = "parksim",
        *,
        split: str = "test",
        images: Path | str | None = None,
        limit: int | None = None,
        categories: Sequence[str] | None = None,
    ) -> None:
        self._source: dict[str, Any] = {"split": split, "images": images, "limit": limit}
        self._name = dataset
        self._limit = limit
        self.dataset = load_dataset(dataset, with_images=False, **self._source)
        """The labels, and which images there are."""
        self._ids: dict[str, int] = {category["name"]: category["id"] for category in self.dataset.categories}
        self._names = dict(enumerate(categories or (), start=1))
        self._labels = None if categories is None else known_categories(self._names, self.dataset, "the detector")
        self._parts: dict[int, Detections] = {}

    def __repr__(self) -> str:
        return f"Evaluator({self.dataset!r}, {len(self._parts)} of {len(self.dataset.images)} images)"

    def images(self, progress: Progress = silent) -> Iterator[tuple[int, Image]]:
        """Every image with its id: uint8, H x W x 3, RGB, decoded ahead of the loop that takes it.

        Raises:
            DatasetError: The images are not where they should be, or one is damaged.
        """
        from wildbench.datasets.images import read_ahead

        data = load_dataset(self._name, progress=progress, **self._source)
        paths = [data.image_path(image) for image in data.images]
        for done, (image, pixels) in enumerate(zip(data.images, read_ahead(paths), strict=True), start=1):
            yield image["id"], pixels
            progress("evaluate", done, len(paths))

    def update(self, image_id: int, boxes: Any, scores: Any, labels: Any) -> Self:  # noqa: ANN401 - arrays, tensors, lists
        """Add what was detected in one image, also where it is nothing.

        Args:
            image_id: As the data set has it.
            boxes: n x 4: x1, y1, x2, y2 in pixels of the image; kept to a thousandth of a pixel.
            scores: n, 0 to 1.
            labels: n: see `categories`. Categories that are not in the data set are left out.

        Raises:
            PredictionsError: `unknown-image`, `image-twice`, `unknown-label`, or what `Detections` refuses.
        """
        if image_id in self._parts:
            raise PredictionsError(f"image {image_id} was added already", code="image-twice", remedy="add each once")
        if all(image["id"] != image_id for image in self.dataset.images):
            raise PredictionsError(
                f"image {image_id} is not in {self.dataset.name}", code="unknown-image", remedy="take ids from images()"
            )
        corners = _array(boxes).reshape(-1, 4) if len(boxes) else np.zeros((0, 4))
        category_ids = np.array([self._category(label) for label in _array(labels).tolist()], dtype=np.int64)
        detections = detections_in(image_id, category_ids, corners, _array(scores))
        self._parts[image_id] = detections[category_ids >= 0]
        return self

    def compute(
        self,
        *,
        name: str = "detections",
        out: Path | str | None = None,
        threshold: float | Path | str | None = None,
        by: Sequence[str] = (),
    ) -> Scorecard:
        """Measure what was added; images that were not added count as having no detection, and a note says so.

        Args:
            name: What the record calls the detector.
            out: Scorecard to write; detections and images go beside it. Nothing is written where it is None.
            threshold: Score from which detections are taken, or a scorecard of the val split that tells it.
            by: Fields of the images, for figures by each of their values.

        Raises:
            OutputError: `out` cannot be written.
        """
        target = None if out is None else Path(out)
        if target:
            check_writable(target)
        order = [image["id"] for image in self.dataset.images]
        detections = Detections.concatenate(self._parts[image] for image in order if image in self._parts)
        known = None if self._labels is None else frozenset(self._labels.values())
        sha256 = hashlib.sha256(results_bytes(detections)).hexdigest()
        described = Submission(name=name, file=f"{name}.predictions.json", sha256=sha256, format="coco-results")
        missing = len(order) - len(self._parts)
        notes = [f"warning images-not-added: {missing} of {len(order)} images; add each, also without detections"]
        scored = Scored(self.dataset, detections, known)
        return make_record(
            scored,
            described,
            target,
            limit=self._limit,
            notes=notes if missing else [],
            threshold=stated_threshold(threshold, self.dataset),
            slices=slice_values(self.dataset, by),
        )

    def _category(self, label: object) -> int:
        """The id of a label's category; -1 where the data set has no such category."""
        if isinstance(label, str):
            return self._ids.get(label, -1)
        if isinstance(label, int):
            if self._labels is not None and label in self._names:
                return self._labels.get(label, -1)
            if self._labels is None and label in self._ids.values():
                return label
        allowed = f"1..{len(self._names)}" if self._labels is not None else f"the ids {sorted(self._ids.values())}"
        raise PredictionsError(
            f"label {label!r} is outside {allowed}", code="unknown-label", remedy="name the categories by categories="
        )


def detections_in(
    image_id: int, category_ids: Ints, corners: npt.NDArray[Any], scores: npt.NDArray[Any], masks: Objects | None = None
) -> Detections:
    """One image's detections as they are kept and scored: boxes in thousandths of a pixel, scores in their order."""
    if scores.dtype.itemsize < 8:  # the shortest number that is this float: the order stays
        scores = np.array([float(str(score)) for score in scores], dtype=np.float64)
    corners = corners.astype(np.float64)
    boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]).round(3)
    return Detections(np.full(len(corners), image_id), category_ids, boxes, scores=scores, masks=masks)


def _array(values: Any) -> npt.NDArray[Any]:  # noqa: ANN401
    """An array of whatever holds numbers: a list, an array, or a tensor on any device."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def evaluate_model(
    model: Detector,
    data: Dataset,
    *,
    categories: Sequence[str] | None = None,
    device: str = "auto",
    out: Path | str | None = None,
    threshold: float | Path | str | None = None,
    by: Sequence[str] = (),
    progress: Progress = silent,
) -> Scorecard:
    """Score a detector in memory on every image of a data set; the arguments are those of `wildbench.evaluate`.

    It runs in this process, as it is: nothing is said of size, arithmetic or time, which belong to a file. An
    `nn.Module` is put in eval mode and moved to `device`; "auto" leaves it where it is.
    """
    evaluator = Evaluator(data, categories=categories)
    detect = _as_function(model, device)
    for image_id, pixels in evaluator.images(progress):
        answer = detect(pixels)
        if isinstance(answer, Mapping):
            answer = tuple(answer.get(key) for key in ("boxes", "labels", "scores"))
        if not isinstance(answer, tuple | list) or len(answer) != 3 or any(part is None for part in answer):
            what = f"the detector answered image {image_id} with {type(answer).__name__}"
            remedy = "answer with a tuple of boxes, labels and scores, or a dict with these keys"
            raise PredictionsError(what, code="answer-form", remedy=remedy)
        boxes, labels, scores = answer
        evaluator.update(image_id, boxes, scores, labels)
    name = getattr(model, "__name__", type(model).__name__)
    return evaluator.compute(name=name, out=out, threshold=threshold, by=by)


def _as_function(model: Detector, device: str) -> Callable[[Image], Any]:
    """Of an `nn.Module`, which takes a list of float images and answers with a list of dicts; anything else is one."""
    import sys

    torch = sys.modules.get("torch")  # who has a module has torch
    if torch is None or not isinstance(model, torch.nn.Module):
        return model
    module = model.eval() if device == "auto" else model.eval().to(device)
    place = next((parameter.device for parameter in module.parameters()), "cpu")

    def detect(pixels: Image) -> Any:  # noqa: ANN401
        with torch.inference_mode():
            image = torch.from_numpy(pixels.copy()).permute(2, 0, 1).to(place).float() / 255
            answer = module([image])
        return answer[0] if isinstance(answer, list) and len(answer) == 1 else answer

    return detect


def make_record(
    scored: Scored,
    described: Submission,
    out: Path | None,
    *,
    limit: int | None = None,
    isolation: Isolation | None = None,
    costs: Callable[[], tuple[Size | None, Compute | None, Latency | None]] = lambda: (None, None, None),
    submission: Admitted | None = None,
    notes: Sequence[str] = (),
    execution: Execution | None = None,
    audits: Sequence[Audit] = (),
    told: Sequence[str] = (),
    threshold: float | None = None,
    slices: Slices | None = None,
) -> Scorecard:
    """Measure detections; write the record, the detections and the figures of each image where `out` says so.

    `costs` is asked after scoring, so that another thread can measure them meanwhile. `threshold` is the user's.
    """
    card_file = out or Path(default_card(Path(described.file)).name)
    predictions, table_file = kept_predictions(card_file), card_file.with_name(f"{card_file.stem}.images.csv")
    results = results_bytes(scored.detections, scored.dataset.original_ids)
    accuracy = measure_accuracy(
        scored, predictions_file=predictions.name, predictions_sha256=hashlib.sha256(results).hexdigest()
    )
    errors, table = measure_errors(scored, table_file.name)
    stated = submission.manifest.threshold if submission else None
    seen = measure_field(scored, operating_point(scored, given=threshold, manifest=stated), slices=slices)
    size, compute, latency = costs()
    card = Scorecard(
        submission=described,
        protocol=Protocol(engine=ENGINE),
        dataset=scored.dataset.record(limit),
        accuracy=accuracy,
        size=size,
        compute=compute,
        latency=latency,
        execution=execution,
        field=seen,
        errors=errors,
        notes=[*lines([*scored.dataset.warnings, *suspect(scored.detections, scored.dataset)]), *notes],
        audits=[audit_exact(scored), *audits],
        told=list(told),
        environment=describe_environment().model_copy(update={"isolation": isolation}),
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


def known_categories(
    label_names: Mapping[int, str], data: Dataset, detector: str, remarks: list[Finding] | None = None
) -> dict[int, int]:
    """Match a detector's labels with a data set's category ids, by name, alias or synonym: label → id, for both known.

    Args:
        label_names: What the labels mean.
        data: Whose categories they are matched with; where a person says which are known, with those alone.
        detector: How to call it in messages.
        remarks: Takes the note on names that were read as others.

    Raises:
        SubmissionError: `no-common-category`.
        DatasetError: `category-name-variant`: two categories of the data set are one by their name.
    """
    spelt: dict[str, int] = {}
    for category in data.categories:
        if spelt.setdefault(canonical(category["name"]), category["id"]) != category["id"]:
            what = f"{data.name}: its category {category['name']!r} has the name of another"
            raise DatasetError(what, code="category-name-variant", remedy="rename one of them")
    names, ids, known = data.names(), data.merged_ids, data.known_ids
    found = {label: names.find(name) for label, name in label_names.items()}
    matched = {label: ids[number] for label, number in found.items() if number is not None}
    matched = {label: number for label, number in matched.items() if known is None or number in known}
    if remarks is not None:
        remarks += synonyms(names, detector)
    if not matched:
        examples = ", ".join(data.category_names[:5])
        what = f"{detector}: none of its {len(label_names)} categories is in {data.name} ({examples}, ...)"
        remedy = 'say which are the same by --map, or under "category_map" in the manifest'
        if canonical(next(iter(label_names.values()), "")) in GENERIC:
            remedy = "a detector that tells no species apart is scored on all of them by --class-agnostic"
        raise SubmissionError(what, code="no-common-category", remedy=remedy)
    return matched
