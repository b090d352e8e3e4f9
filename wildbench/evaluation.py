"""The pipeline: file → detector in its own process → detections → measures → scorecard; only this module knows all."""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wildbench.datasets.category_merging import into_merged, regrouped
from wildbench.datasets.coco import Dataset, objects
from wildbench.datasets.findings import Finding, lines
from wildbench.datasets.masks import encode_mask
from wildbench.datasets.predictions import Detections, read_predictions, results_bytes, spoken_names, suppressed
from wildbench.datasets.registry import load_dataset
from wildbench.errors import DetectorError, OutputError
from wildbench.evaluator import (
    Detector,
    detections_in,
    evaluate_model,
    kept_predictions,
    known_categories,
    make_record,
)
from wildbench.files import check_writable, sha256_of
from wildbench.measures.field import SEEN, slice_values, stated_threshold
from wildbench.measures.matching import Scored
from wildbench.progress import Progress, silent
from wildbench.scorecard import Grouping, Scorecard, Submission

if TYPE_CHECKING:
    from wildbench.datasets.images import Pixels
    from wildbench.measures.latency import Sessions, Stopwatch
    from wildbench.measures.repetition import Showing
    from wildbench.submissions.admission import Admitted
    from wildbench.submissions.inspection import Inspection
    from wildbench.submissions.manifest import Manifest
    from wildbench.submissions.process import Answer, Sandbox
    from wildbench.submissions.process import Detections as Answered

WARM_UP = 3
"""Images the detector is warmed up on."""

SATURATION_IMAGES = 4
"""Images on which outputs are looked at, to see whether they run into the end of their range."""

MOST_NAMED = 3
"""Categories that a note names."""


def evaluate(
    submission: Path | str | Detector,
    *,
    dataset: Dataset | Path | str = "parksim",
    images: Path | None = None,
    split: str = "test",
    split_file: Path | str | None = None,
    skip_unreadable: bool = False,
    grouping: Grouping | None = None,
    device: str = "auto",
    limit: int | None = None,
    manifest: Manifest | Path | str | None = None,
    adapter: Path | str | None = None,
    require_jail: bool = False,
    categories: Sequence[str] | None = None,
    out: Path | str | None = None,
    audits: bool = True,
    audit_seed: int | None = None,
    threshold: float | Path | str | None = None,
    by: Sequence[str] = (),
    by_table: Path | None = None,
    latency_budget: float | None = None,
    threads_too: Sequence[int] = (),
    sustained: float = 0.0,
    progress: Progress = silent,
) -> Scorecard:
    """Measure a detector: a file for accuracy, size, compute and latency; one in memory for accuracy alone.

    Args:
        submission: A file in any registered format, or a folder or zip that holds it; an `nn.Module` that keeps
            torchvision's contract; or any callable from an image (uint8, H x W x 3, RGB) to boxes (n x 4; x1, y1, x2,
            y2 in pixels), labels and scores, as a tuple in this order or a dict with these keys.
        dataset: A registered name, the path of any COCO detection JSON, or a `Dataset` with its images.
        images: Folder of the images, where it is not near the JSON.
        split: Split of a registered data set, or of `split_file`.
        split_file: Which images of a JSON are in which split, as `wildbench data split` writes it.
        skip_unreadable: Leave out images that cannot be decoded; a note counts them.
        grouping: Categories to score as one, what names mean, and which of them the detector can tell:
            `Grouping(merge={"animal": ["zebra", "lion"]})`; "*" stands for all. A detector that knows animals, but no
            species, is scored on all of them as one by itself, and a note says it.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        limit: Use only the first `limit` images.
        manifest: What the file takes and answers, or the path of a manifest that says so; None where one is inside or
            beside it, or where the file tells by itself.
        adapter: A file of Python with `load(path)` and `predict(image)`, for a submission in no registered format; it
            runs in the detector's process.
        require_jail: Open nothing where not every wall around the detector's process stands.
        categories: What the labels of a detector in memory mean: label i is `categories[i - 1]`. None where they are
            names or category ids of the data set. A file has a manifest for this.
        out: Scorecard to write; detections and images go beside it. Nothing is written where it is None.
        audits: Show a file's detector altered images and new scenes too, to see that it has not memorised labels.
        audit_seed: What these follow from, to repeat those of a record; None draws it once the file is admitted.
        threshold: Score from which its users take detections, or a scorecard of the val split, whose best F1 tells it.
            None where the manifest states one. AP looks at all detections anyway.
        by: Fields of the images (location, time_of_day, folder:1, ...), for figures by each of their values; `seen`
            for locations that the training split has, and those that it has not.
        by_table: A CSV with a column file_name and others, for figures by each of those.
        latency_budget: Seconds of measuring in fresh processes, once the pass is timed; 0 for the pass alone. None
            takes `WILDBENCH_LATENCY_BUDGET`, or 30.
        threads_too: Numbers of CPU threads with which a session is timed too.
        sustained: Minutes that it then runs without a pause.
        progress: Called as `progress(task, done, total)`.

    Raises:
        WildbenchError: What the user can mend, in one line; no scorecard is written then.

    Example:
        >>> card = evaluate("submission.pt", dataset="parksim")  # doctest: +SKIP
        >>> card.accuracy.ap50.value  # doctest: +SKIP
        0.63
    """
    # here and below: what only running a detector needs
    from wildbench.datasets.images import decode
    from wildbench.measures.audits import audit_images, run_audits
    from wildbench.measures.compute import measure_pass, operands_of
    from wildbench.measures.latency import Plan, Sessions, Stopwatch, default_budget, execution_of
    from wildbench.measures.repetition import audit_repetition
    from wildbench.measures.size import size_of
    from wildbench.submissions.inspection import inspect_submission
    from wildbench.submissions.process import Sandbox

    load = partial(
        load_dataset,
        dataset,
        split=split,
        split_file=split_file,
        images=images,
        limit=limit,
        skip_unreadable=skip_unreadable,
        progress=progress,
    )
    if not isinstance(submission, Path | str):
        data, _ = regrouped(load(), grouping, categories or ())
        return evaluate_model(
            submission,
            data,
            categories=categories,
            device=device,
            out=out,
            threshold=threshold,
            by=by,
            progress=progress,
        )
    out = None if out is None else Path(out)
    if out:
        check_writable(out)
    with (
        Stopwatch() as watch,
        Sandbox(submission, device=device, manifest=manifest, adapter=adapter, require_jail=require_jail) as box,
    ):
        watch.prepare(box.threads)
        admitted = box.admitted  # refuses what must not be opened, before long work
        inspection = inspect_submission(admitted)
        data, remarks = regrouped(load(), grouping, admitted.manifest.label_names.values())
        read_as: list[Finding] = []
        category_ids = known_categories(admitted.manifest.label_names, data, admitted.manifest.name, read_as)
        stated = stated_threshold(threshold, data)
        slices = slice_values(data, by, by_table, training=training_split(dataset, split_file, by))
        budget = default_budget() if latency_budget is None else latency_budget
        sessions = Sessions(box, [data.image_path(image) for image in data.images], decode, Plan(budget))
        seen = _detect(box, data, category_ids, watch, sessions, progress)
        latency = watch.latency(box)  # before counting, which takes memory of its own
        latency = sessions.finish(latency, threads_too, sustained, progress)
        checks = [audit_images(data), watch.audit(box), *audit_repetition(seen.showings, seen.answers)]
        checks += sessions.audit(seen.by_place())
        execution = execution_of(box)
        scored = Scored(data, seen.detections, frozenset(category_ids.values()))
        notes = seen.notes + lines(list(_doubts(box, inspection, scored, category_ids)))
        if audits:
            checks += run_audits(partial(_answer, box, category_ids), scored, seed=audit_seed, progress=progress)
        with ThreadPoolExecutor(1) as beside:  # the child counts while this process scores
            operands = operands_of(inspection)
            shown = (seen.warm, seen.showings, seen.answers)
            compute = beside.submit(measure_pass, box, *shown, operands, progress)
            return make_record(
                scored,
                describe(admitted),
                out,
                limit=limit,
                isolation=box.isolation,
                costs=lambda: (size_of(inspection), compute.result(), latency),
                submission=admitted,
                notes=[*_unjailed(box), *remarks, *lines(read_as), *admitted.notes, *notes],
                execution=execution,
                audits=checks,
                told=_told(box),
                threshold=stated,
                slices=slices,
            )


def describe(admitted: Admitted) -> Submission:
    """What a record says of a submission: its file, and what its manifest states."""
    manifest = admitted.manifest
    return Submission(
        file=admitted.path.name,
        sha256=admitted.sha256,
        format=admitted.format.name,
        detector=manifest.detector.name,
        manifest=admitted.origin,
        **manifest.model_dump(include={"name", "authors", "licence", "method", "training_data", "parent"}),
    )


def score(
    predictions: Path | str,
    *,
    dataset: Dataset | Path | str,
    images: Path | None = None,
    split: str = "test",
    split_file: Path | str | None = None,
    limit: int | None = None,
    grouping: Grouping | None = None,
    threshold: float | Path | str | None = None,
    by: Sequence[str] = (),
    by_table: Path | None = None,
    out: Path | str | None = None,
) -> Scorecard:
    """Score a COCO results file: accuracy alone, without the model.

    Args:
        predictions: COCO results (a JSON list of `{"image_id", "category_id", "bbox", "score"}`, boxes x, y, width,
            height in pixels), or what a registered tool writes, such as MegaDetector's batch output.
        dataset: A registered name, the path of any COCO detection JSON, or a `Dataset`.
        images: Folder of the images, where it is not near the JSON.
        split: Split of a registered data set, or of `split_file`.
        split_file: Which images of a JSON are in which split, as `wildbench data split` writes it.
        limit: Use only the first `limit` images; detections on others, as on other parts of a JSON, are left out.
        grouping: As for `evaluate`. What a detector can tell, a file of detections does not say: `known` does, and what
            it cannot is then null.
        threshold: As `evaluate` takes it; `by` and `by_table` too.
        by: See `threshold`.
        by_table: See `threshold`.
        out: Scorecard to write; detections and images go beside it. Nothing is written where it is None.

    Raises:
        WildbenchError: What the user can mend, in one line; nothing is written then.
    """
    predictions, out = Path(predictions), None if out is None else Path(out)
    if out:
        check_writable(out)
        if predictions.resolve() in (out.resolve(), kept_predictions(out).resolve()):
            what = f"{out}: would replace the predictions that are scored"
            raise OutputError(what, code="replaces-input", remedy="choose another --out")
    names = spoken_names(predictions)
    whole, remarks = regrouped(load_dataset(dataset, split=split, images=images, with_images=False), grouping, names)
    data = whole
    if split_file is not None:
        part = load_dataset(dataset, split=split, split_file=split_file, images=images, with_images=False)
        data = regrouped(part, grouping, names)[0]
    findings: list[Finding] = []
    data, detections = data.take(limit), read_predictions(predictions, whole, findings)
    detections = into_merged(detections, whole) if whole.unmerged else detections
    detections = detections[np.isin(detections.image_ids, [image["id"] for image in data.images])]
    if data.known_ids is not None:
        detections = detections[np.isin(detections.category_ids, list(data.known_ids))]
    whole_hash = (
        hashlib.sha256(results_bytes(detections)).hexdigest() if predictions.is_dir() else sha256_of(predictions)
    )
    described = Submission(name=predictions.stem, file=predictions.name, sha256=whole_hash, format="coco-results")
    return make_record(
        Scored(data, detections, data.known_ids),
        described,
        out,
        limit=limit,
        notes=[*remarks, *lines(findings)],
        threshold=stated_threshold(threshold, data),
        slices=slice_values(data, by, by_table, training=training_split(dataset, split_file, by)),
    )


def training_split(dataset: Dataset | Path | str, split_file: Path | str | None, by: Sequence[str]) -> Dataset | None:
    """The training split, where a slice asks which places it has."""
    if SEEN not in by or isinstance(dataset, Dataset):
        return None
    return load_dataset(dataset, split="train", split_file=split_file, with_images=False)


@dataclass(frozen=True)
class Pass:
    """What a detector answered.

    Attributes:
        detections: In the order of the data set.
        notes: What was left out of them.
        showings: What was shown, in its order; the warm-up is not in it.
        answers: To each of them, without masks.
        warm: What the warm-up showed.
    """

    detections: Detections
    notes: list[str]
    showings: list[Showing]
    answers: list[Answer]
    warm: list[Showing]

    def by_place(self) -> dict[int, Answered]:
        """The scored answer to each image, by its place in the data set."""
        pairs = zip(self.showings, self.answers, strict=True)
        return {showing.place: answer.detections for showing, answer in pairs if showing.scored}


def _detect(
    box: Sandbox,
    data: Dataset,
    category_ids: dict[int, int],
    watch: Stopwatch,
    sessions: Sessions,
    progress: Progress,
) -> Pass:
    """Show every image to the detector, in a secret order; each answer is detections and a latency sample at once.

    A few sessions of timing come in between, while the detector is stopped.
    """
    from wildbench.datasets.images import decode, read_ahead
    from wildbench.measures.repetition import order

    task = f"evaluate {box.manifest.name}"
    showings = order([data.image_path(image) for image in data.images])
    warm = [showing.unscored() for showing in islice(cycle(showings[:WARM_UP]), WARM_UP)]
    watch.warm_up(box, [showing.of(decode(showing.path)) for showing in warm])
    answers: list[Answer] = []
    parts: dict[int, Detections] = {}
    turns = sessions.turns(len(showings))
    progress(task, 0, len(showings))
    for turn, pixels in enumerate(read_ahead([showing.path for showing in showings], sums=data.sums)):
        showing = showings[turn] = replace(showings[turn], shape=pixels.shape[:2])
        answer = box.predict(showing.of(pixels))
        if showing.scored:
            watch.add(answer)
            watch.interleave_reference(box)
            parts[showing.place] = detections_of(data.images[showing.place]["id"], answer.detections, category_ids)
        answers.append(replace(answer, detections=replace(answer.detections, masks=None)))
        progress(task, len(answers), len(showings))
        if turn in turns:
            sessions.take()
    detections = Detections.concatenate(parts[place] for place in sorted(parts))
    seen = Pass(detections, [], showings, answers, list(islice(cycle(warm), watch.warmup_runs)))
    scored = seen.by_place()
    notes = _without_area(sum(answered.dropped for answered in scored.values()), len(detections))
    left_out = _left_out([scored[place] for place in sorted(scored)], category_ids)
    notes += _unscored(box.manifest, left_out, float(detections.scores.sum()))
    return replace(seen, notes=notes)


def _answer(box: Sandbox, category_ids: dict[int, int], image_id: int, pixels: Pixels) -> Detections:
    """What it detects in an image that nobody times."""
    return detections_of(image_id, box.predict(pixels).detections, category_ids)


def _told(box: Sandbox) -> list[str]:
    """What only the detector's process can tell, by path: figures too, where code of the submission runs in it."""
    told = ["execution", "latency.device", "latency.stages"]
    told += ["compute"] if box.admitted.format.runs_code else []
    return told + (["latency.peak_memory"] if box.device != "cpu" else [])


def _unjailed(box: Sandbox) -> list[str]:
    """A note where less than the whole jail stood around the detector."""
    missing = box.isolation.not_enforced
    if not missing and box.isolation.level != "process":
        return []
    what = f"not all walls stood around its process ({', '.join(missing) or 'no filter of system calls'})"
    code = ", and its file can hold code" if box.admitted.format.runs_code else ""
    return [f"warning no-jail: {what}{code}; see docs/trust.md"]


def _doubts(box: Sandbox, inspection: Inspection, scored: Scored, category_ids: dict[int, int]) -> Iterator[Finding]:
    """What makes the file or its manifest doubtful, though it runs."""
    from wildbench.datasets.images import decode
    from wildbench.measures.misreadings import find_misreadings
    from wildbench.measures.saturation import find_saturation

    yield from inspection.findings
    data = scored.dataset
    with contextlib.suppress(DetectorError):  # it has answered for every image: what is measured stands
        if inspection.quantized:
            chosen = np.linspace(0, len(data.images) - 1, min(SATURATION_IMAGES, len(data.images))).round().astype(int)
            yield from find_saturation(box, [decode(data.image_path(data.images[place])) for place in chosen])
        yield from find_misreadings(box, scored, category_ids)


def _left_out(answers: Sequence[Answered], category_ids: Mapping[int, int]) -> dict[int, float]:
    """The sum of the scores of each label that is not in the data set."""
    left_out: dict[int, float] = defaultdict(float)
    for answer in answers:
        for label, value in zip(answer.labels.tolist(), answer.scores.tolist(), strict=True):
            if label not in category_ids:
                left_out[label] += value
    return left_out


def _unscored(manifest: Manifest, left_out: Mapping[int, float], kept: float) -> list[str]:
    """A note where most of what was found is of categories that the data set does not have.

    `left_out` has the sum of the scores of each label, `kept` that of what is scored.
    """
    if sum(left_out.values()) <= kept:
        return []
    labels = sorted(left_out, key=lambda label: -left_out[label])
    names = ", ".join(repr(manifest.categories[label - 1]) for label in labels[:MOST_NAMED])
    more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
    share = sum(left_out.values()) / (sum(left_out.values()) + kept)
    what = f"{names}{more}: not in the data set; {100 * share:.0f} % of what was found, by score, was left out"
    return [f"warning unscored-categories: {what}; name pairs in category_map, or use a data set that has them"]


def _without_area(dropped: int, kept: int) -> list[str]:
    """A note on boxes that were left out because they have no area; most of them is a sign of a wrong box form."""
    if not dropped:
        return []
    share = dropped / (dropped + kept)
    advice = "; are its boxes really of the form that the manifest says?" if share > 0.5 else ""
    counted = f"{dropped:,} of {dropped + kept:,} candidates"
    return [f"warning candidates-without-area: {counted} were left out, their boxes have no area{advice}"]


def detections_of(image_id: int, answered: Answered, category_ids: dict[int, int]) -> Detections:
    """One image's answer as detections; labels without a category in the data set are dropped."""
    known = np.isin(answered.labels, list(category_ids))
    ids = np.array([category_ids[label] for label in answered.labels[known].tolist()], dtype=np.int64)
    masks = None if answered.masks is None else objects(encode_mask(mask) for mask in answered.masks[known])
    detections = detections_in(image_id, ids, answered.boxes[known], answered.scores[known], masks)
    several = len(set(category_ids.values())) < len(category_ids)
    return suppressed(detections, answered.labels[known]) if several else detections
