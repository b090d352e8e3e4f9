"""A data set laid out for review in FiftyOne, and the edits made there collected."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from wildbench.curation import questions
from wildbench.curation.patch import Change, Patch, described
from wildbench.curation.samples import (
    GROUND_TRUTH,
    Label,
    NamedPredictions,
    add_samples,
    box_attributes,
    labels_of,
    relative,
)
from wildbench.datasets.coco import Dataset
from wildbench.errors import CurationError, needs
from wildbench.progress import Progress, silent
from wildbench.resources import cache_dir

if TYPE_CHECKING:
    import fiftyone

HOST = "127.0.0.1"
"""Where the App listens: on this machine alone."""

_COMPONENTS = {bool: ("bool", "toggle"), int: ("int", "text"), float: ("float", "text"), str: ("str", "text")}

UNMOVED = 0.005
"""Pixels by which an edge may be off without having been moved: shares of an image do not come back exactly."""

Edit = dict[str, Any]
"""The keyword arguments of a `Change` that nobody has signed yet; its reason is what the box itself says."""


def review_folder() -> Path:
    """Where reviews are kept between runs."""
    return cache_dir() / "review"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[None]:
    """Let FiftyOne keep its database, settings and files in this folder while the block runs; it sends nothing out.

    Where another process runs the database on this folder already, it is shared. A user's own FiftyOne data is neither
    read nor changed.

    Raises:
        MissingExtra: FiftyOne is not installed.
        CurationError: Its database does not start.
    """
    folder = folder.absolute()
    if os.environ.get("FIFTYONE_DATABASE_DIR") == str(folder / "mongo"):
        yield  # this process runs it already
        return
    environment = {
        "FIFTYONE_CONFIG_PATH": str(folder / "config.json"),
        "FIFTYONE_APP_CONFIG_PATH": str(folder / "app_config.json"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(folder / "files"),
        "FIFTYONE_DATABASE_DIR": str(folder / "mongo"),
        "FIFTYONE_DATABASE_NAME": "wildbench",
        "FIFTYONE_DATABASE_VALIDATION": "false",  # it warns at every start that the MongoDB it needs here is an old one
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
        "FIFTYONE_LOGGING_LEVEL": "ERROR",
    }
    os.environ |= environment
    with needs("review"):
        import fiftyone.core.service
    service = fiftyone.core.service.DatabaseService
    service.service_name = f"wildbench-{hashlib.sha256(bytes(folder)).hexdigest()[:16]}"  # joins no other's database
    try:
        server = service()
        os.environ["FIFTYONE_PRIVATE_DATABASE_PORT"] = str(server.port)
    except (fiftyone.core.service.ServiceException, OSError) as error:
        what, log = f"FiftyOne's database does not start ({error})", folder / "mongo" / "log" / "mongo.log"
        raise CurationError(what, code="no-database", remedy=f"read {log}") from None
    keeper = None if server.attached else server.child
    try:
        yield
    finally:
        from fiftyone.core.odm import get_db_conn

        get_db_conn().client.close()  # or FiftyOne waits for the server when the process exits
        server.stop()
        psutil.wait_procs([keeper] if keeper else [], timeout=10)  # it goes on while another process uses it
        for name in (*environment, "FIFTYONE_PRIVATE_DATABASE_PORT"):
            os.environ.pop(name, None)


def serve(samples: str, port: int) -> fiftyone.Session:
    """Start FiftyOne's App on one of its data sets, at a port or, for 0, at any that is free.

    Raises:
        CurationError: The port is taken, or the App does not answer.
    """
    import fiftyone
    from fiftyone.core.service import ServerService, ServiceException
    from fiftyone.core.session import session

    with socket.socket() as probe:  # or FiftyOne joins whatever App runs on that port
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            what = f"port {port}: {error.strerror}"
            raise CurationError(what, code="port-taken", remedy="give another --port") from None
        port = int(probe.getsockname()[1])
    # The server comes first: a session that waits 10 s in vain joins later, and resets what the App shows by then.
    try:
        session._server_services[port] = ServerService(port, address=HOST, do_not_track=fiftyone.config.do_not_track)
        return fiftyone.launch_app(fiftyone.load_dataset(samples), port=port, address=HOST, remote=True)
    except (ServiceException, RuntimeError) as error:
        what, remedy = f"FiftyOne's App: {error}", "try again: a busy machine takes long to start it"
        raise CurationError(what, code="app-not-started", remedy=remedy) from None


@dataclass(frozen=True)
class Review:
    """What was laid out: operating points, what was forgotten, images by view, and images with earlier edits."""

    name: str
    confidence: Mapping[str, float] = field(default_factory=dict)
    comparisons: Mapping[tuple[str, str], Sequence[questions.Row]] = field(default_factory=dict)
    views: Mapping[str, int] = field(default_factory=dict)
    edited: int = 0


def lay_out(
    data: Dataset,
    detectors: Sequence[NamedPredictions],
    *,
    look: bool = True,
    fresh: bool = False,
    progress: Progress = silent,
) -> Review:
    """Fill FiftyOne's database with a data set and detections; inside `running`'s block.

    Args:
        data: Images and labels.
        detectors: Detections to show; the first is the dense one where no scorecard names its parent.
        look: Whether to look at the pixels too, for near duplicates and similarity.
        fresh: Drop the edits made to these labels before, which are kept otherwise.
        progress: Called as `progress(task, done, total)`.
    """
    import fiftyone

    name = name_of(data)
    edits = {}
    if fiftyone.dataset_exists(name):
        edits = {} if fresh else edited_labels(labels_of(fiftyone.load_dataset(name)), data)
        fiftyone.delete_dataset(name)
    confidence = {one.name: questions.operating_point(data, one) for one in detectors}
    samples = fiftyone.Dataset(name, persistent=True)
    add_samples(samples, data, detectors, confidence=confidence, edits=edits, progress=progress)
    questions.evaluate(samples, data, detectors)
    if look:
        group, features = questions.looks_of(data, progress)
        samples.set_values("group", group.tolist())
        questions.add_similarity(samples, features)
    _describe(samples, data)
    questions.colour(samples, detectors)
    samples.save()
    comparisons = questions.comparisons(samples, data, detectors)
    return Review(name, confidence, comparisons, questions.save_views(samples, detectors), len(edits))


def bring_back(data: Dataset, *, author: str, reason: str = "") -> Patch:
    """Collect the edits made to a data set that was laid out; inside `running`'s block.

    Raises:
        CurationError: It never was, or an edit lacks its author or reason.
    """
    import fiftyone

    name = name_of(data)
    if not fiftyone.dataset_exists(name):
        remedy = "run wildbench review on it first, and edit"
        raise CurationError(f"{name}: not reviewed yet", code="not-reviewed", remedy=remedy)
    return collect(labels_of(fiftyone.load_dataset(name)), data, author=author, reason=reason)


def name_of(data: Dataset) -> str:
    """Name of FiftyOne's data set: with the labels' hash, so that edits never meet other labels than their own."""
    plain = re.sub(r"[^\w.]+", "-", f"{data.name} {data.split or ''}").strip("-")
    return f"{plain}-{data.sha256[:8]}"


def _describe(samples: fiftyone.Dataset, data: Dataset) -> None:
    """Say what may be edited, and how the App begins."""
    import fiftyone

    samples.add_dynamic_sample_fields()
    if not samples.has_field(f"{GROUND_TRUTH}.detections.reason"):
        samples.add_sample_field(f"{GROUND_TRUTH}.detections.reason", fiftyone.StringField)
    parts = {one.field: _COMPONENTS[one.kind] for one in box_attributes(data) if one.exact and one.kind in _COMPONENTS}
    listed = [{"name": name, "type": kind, "component": part} for name, (kind, part) in parts.items()]
    listed.append({"name": "reason", "type": "str", "component": "text"})
    schema = {"type": "detections", "component": "dropdown", "classes": data.category_names, "attributes": listed}
    samples.set_label_schemas({GROUND_TRUTH: schema})
    samples.activate_label_schemas(GROUND_TRUTH)
    samples.info = {"data set": data.name, "split": data.split, "sha256": data.sha256}


def edited_labels(labels: Mapping[int, list[Label]], data: Dataset) -> dict[int, list[Label]]:
    """Labels of the images that somebody has edited, by image id, without what earlier reviews noted on them."""
    lasting = {"label", "bounding_box", "annotation_id", "size", "reason", *(one.field for one in box_attributes(data))}
    return {
        edit["image_id"]: [
            {key: value for key, value in label.items() if key in lasting and value is not None}
            for label in labels[edit["image_id"]]
        ]
        for edit in _edits(labels, data)
    }


def collect(labels: Mapping[int, list[Label]], data: Dataset, *, author: str, reason: str = "") -> Patch:
    """Write a patch of everything that was edited, by image in the order of the file; empty if nothing was.

    Args:
        labels: By image id, as FiftyOne has them now.
        data: The labels as they were.
        author: Who edited.
        reason: Why, for changes whose box does not say so itself in its attribute `reason`.

    Raises:
        CurationError: No author, a change without a reason, or a category that the data set does not have.
    """
    if not author.strip():
        raise CurationError("a patch needs an author", code="no-author", remedy="give --author NAME")
    edits = list(_edits(labels, data))
    changes = []
    for edit in edits:
        where = f"{edit['file_name']}: box {edit['annotation_id'] or 'added'}"
        category = (edit["new"] or {}).get("category")
        why = edit["reason"].strip() or reason.strip()
        if category is not None and category not in data.category_names:
            what = f"{where}: {data.name} has no category {category!r}"
            raise CurationError(what, code="unknown-category", remedy="choose one that is listed")
        if not why:
            what = f"{where}: no reason given (one of {len(edits)} changes)"
            raise CurationError(what, code="no-reason", remedy="give --reason, or fill in the box's own field reason")
        changes.append(Change(**edit | {"author": author, "reason": why}))
    return Patch(dataset=data.name, split=data.split, dataset_sha256=data.sha256, changes=changes)


def _edits(labels: Mapping[int, list[Label]], data: Dataset) -> Iterator[Edit]:
    """Compare every image's labels with what was put there."""
    names = {category["id"]: category["name"] for category in data.categories}
    fields = {one.key: one.field for one in box_attributes(data) if one.exact}
    for image in data.images:
        edit = {"image_id": image["id"], "file_name": str(image["file_name"]), "reason": ""}
        gone = {box["id"]: box for box in data.boxes(image["id"])}
        for label in labels.get(image["id"], []):
            box = gone.pop(label.get("annotation_id"), None)  # a copy of a box has its id too, and is a new box
            now = {"category": label["label"], "bbox": _pixels(label, image)}
            now |= {key: label[field] for key, field in fields.items() if label.get(field) is not None}
            edit["reason"] = label.get("reason") or ""
            if box is None:
                yield edit | {"annotation_id": None, "old": None, "new": now}
                continue
            before = described(box, names[box["category_id"]])
            sides, edges = (image["width"], image["height"]) * 2, relative(box["bbox"], image)
            shifts = [abs(one - other) for one, other in zip(label["bounding_box"], edges, strict=True)]
            if all(shift * side <= UNMOVED for shift, side in zip(shifts, sides, strict=True)):
                now["bbox"] = before["bbox"]
            differing = [key for key in ("category", "bbox", *fields) if before.get(key) != now.get(key)]
            if differing:
                old, new = ({key: values.get(key) for key in differing} for values in (before, now))
                yield edit | {"annotation_id": box["id"], "old": old, "new": new}
        for box in gone.values():
            old = described(box, names[box["category_id"]], whole=True)
            yield edit | {"annotation_id": box["id"], "old": old, "new": None, "reason": ""}


def _pixels(label: Label, image: dict[str, Any]) -> list[float]:
    """A label's box in hundredths of a pixel, within its image."""
    width, height = image["width"], image["height"]
    x, y, w, h = label["bounding_box"]
    left, right = (min(max(edge * width, 0.0), width) for edge in (x, x + w))
    top, bottom = (min(max(edge * height, 0.0), height) for edge in (y, y + h))
    return [round(value, 2) for value in (left, top, right - left, bottom - top)]
