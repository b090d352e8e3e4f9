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
from typing import TYPE_CHECKING

import psutil

from wildbench.curation import questions
from wildbench.curation.edits import collect, edited_labels
from wildbench.curation.patch import Patch
from wildbench.curation.samples import GROUND_TRUTH, NamedPredictions, add_samples, box_attributes, labels_of
from wildbench.datasets.coco import Dataset
from wildbench.errors import CurationError, needs
from wildbench.progress import Progress, silent
from wildbench.resources import cache_dir

if TYPE_CHECKING:
    import fiftyone

HOST = "127.0.0.1"
"""Where the App listens: on this machine alone."""

_COMPONENTS = {bool: ("bool", "toggle"), int: ("int", "text"), float: ("float", "text"), str: ("str", "text")}


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
        CurationError: The port is taken.
    """
    import fiftyone
    from fiftyone.core.service import ServerService
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
    session._server_services[port] = ServerService(port, address=HOST, do_not_track=fiftyone.config.do_not_track)
    return fiftyone.launch_app(fiftyone.load_dataset(samples), port=port, address=HOST, remote=True)


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
