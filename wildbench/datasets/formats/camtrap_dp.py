"""Camtrap DP, the data package of camera-trap projects (Bubnicki et al., 2024; TDWG): deployments, media, observations.

Boxes are `bboxX`, `bboxY` (top left), `bboxWidth` and `bboxHeight` of an observation, in shares of the picture. An
observation of an event without a medium is of all its pictures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._form import Folder, Form, LabelledBox, Row, as_number, gathered
from wildbench.errors import DatasetError
from wildbench.progress import Progress

UNSEEN = {"unclassified", "unknown"}
"""Observation types which say that nobody has looked: a picture with no other is left out."""


def _table(folder: Folder, name: str) -> list[dict[str, str]]:
    """The rows of one of the package's tables."""
    paths = [path for path in folder.named(".csv") if path.stem.casefold() == name]
    if not paths:
        remedy = "give deployments.csv, media.csv and observations.csv"
        raise DatasetError(f"no {name}.csv", code="table-missing", remedy=remedy)
    return list(folder.rows(paths[0]))


def _knows(folder: Folder) -> bool:
    tables = {path.stem.casefold() for path in folder.named(".csv")}
    return {"media", "observations"} <= tables


def _rows(folder: Folder) -> Iterator[Row]:
    tables = [path for path in folder.named(".csv") if path.stem.casefold() == "deployments"]
    places = {one.get("deploymentID", ""): one.get("locationID", "") for path in tables for one in folder.rows(path)}
    of_medium: dict[str, list[dict[str, str]]] = defaultdict(list)
    of_event: dict[str, list[dict[str, str]]] = defaultdict(list)
    events: dict[str, str] = {}
    for observation in _table(folder, "observations"):
        medium, event = observation.get("mediaID", ""), observation.get("eventID", "")
        (of_medium[medium] if medium else of_event[event]).append(observation)
        events[medium] = event
    for one in _table(folder, "media"):
        medium, deployment = one.get("mediaID", ""), one.get("deploymentID", "")
        event = one.get("eventID") or events.get(medium, "")
        seen = of_medium.get(medium) or (of_event.get(event, []) if event else [])
        if all(row.get("observationType") in UNSEEN for row in seen) or "video" in one.get("fileMediatype", ""):
            continue
        row = Row(one.get("filePath", ""), f"media.csv: {medium}")
        location = places.get(deployment) or deployment
        row.fields = {"location": location, "seq_id": event, "datetime": one.get("timestamp", "")}
        for observation in seen:
            _add(row, observation)
        yield row


def _add(row: Row, observation: dict[str, str]) -> None:
    kind = observation.get("observationType", "")
    name = observation.get("scientificName") or kind
    if kind == "blank" or kind in UNSEEN:
        return
    if not observation.get("bboxWidth"):
        row.unboxed.add(name)
        return
    x, y, width, height = (as_number(observation.get(f"bbox{key}")) for key in ("X", "Y", "Width", "Height"))
    row.boxes.append(LabelledBox(name, (x, y, x + width, y + height), shares=True))


def _read(folder: Folder, progress: Progress) -> Collection:
    return gathered("camtrap-dp", folder, _rows(folder), progress)


FORM = Form("camtrap-dp", "Camtrap DP", frozenset({".csv", ".json"}), _knows, _read)
"""How such a folder is known and read."""
