"""What a form of detections is, and how its pictures and names are matched with a data set's."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from wildbench.categories import Names
from wildbench.datasets.coco import Dataset
from wildbench.datasets.findings import Finding
from wildbench.datasets.image_files import index_of, suffix_match

CALLED = "called"
"""Key of a result for what the tool calls its category, where several may be one."""


@dataclass(frozen=True)
class Found:
    """What a tool says of one picture.

    Attributes:
        picture: Its name or path, as the tool has it; a name without suffix, too.
        boxes: Category (a name, or an id of the data set), x, y, width, height and score of each.
        shares: Whether boxes are in shares of the picture's sides.
        image_id: The id that the tool gives the picture, which may be of its own making.
        failure: Why it was not looked at; empty where it was.
    """

    picture: str
    boxes: tuple[tuple[str | int, float, float, float, float, float], ...] = ()
    shares: bool = False
    image_id: int | None = None
    failure: str = ""


@dataclass(frozen=True)
class Output:
    """One form of detections.

    Attributes:
        title: For messages.
        knows: Whether a parsed JSON file, or the path of a folder, is of this form.
        read: Takes it apart.
        write: Makes a document of what was found in every image of a data set, given the detector's name and why it did
            not look at some, by id; None where it is only read.
    """

    title: str
    knows: Callable[[Any], bool]
    read: Callable[[Any], Iterable[Found]]
    write: Callable[[Mapping[int, Sequence[Mapping[str, Any]]], Dataset, str, Mapping[int, str]], Any] | None = None


def as_results(
    output: Output,
    content: Any,  # noqa: ANN401 - whatever the file holds
    dataset: Dataset,
    failures: dict[int, str] | None = None,
) -> tuple[list[dict[str, Any]], list[Finding]]:
    """COCO results of what a tool wrote, and what could not be matched.

    Pictures are matched by the end of their paths, categories by name, `--map` or synonym. Detections of categories
    that the data set does not have are left out. `failures` takes why images were not looked at, by id.
    """
    why = {} if failures is None else failures
    index = index_of(PurePosixPath(str(image["file_name"]).replace("\\", "/")) for image in dataset.images)
    images: dict[str, dict[str, Any]] = {}
    stems: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for image in dataset.images:
        name = str(image["file_name"]).replace("\\", "/")
        images[name] = image
        stems[PurePosixPath(name).stem.casefold()].append(image)
    names, ids = dataset.names(), {image["id"]: image for image in dataset.images}
    results: list[dict[str, Any]] = []
    unknown, failed, absent = Counter[str](), list[str](), list[str]()
    differing = list[str]()
    for found in output.read(content):
        match = _image(found.picture, images, index, stems) or ids.get(found.image_id)
        if match is None:
            absent.append(found.picture)
            continue
        if found.image_id in ids and match["id"] != found.image_id:
            differing.append(f"{found.picture} is image {match['id']}, not {found.image_id}")
        if found.failure:
            failed.append(found.picture)
            why[match["id"]] = found.failure
        width, height = (match["width"], match["height"]) if found.shares else (1, 1)
        for category, x, y, across, down, score in found.boxes:
            number = category if isinstance(category, int) else names.find(category)
            if number is None:
                unknown[str(category)] += 1
                continue
            box = [x * width, y * height, across * width, down * height]
            box = [round(side, 6) for side in box] if found.shares else box  # what a share was made of comes back
            own = {"image_id": match["id"], "category_id": number, "bbox": box, "score": score}
            results.append({**own, CALLED: category})
    return results, [*_findings(output, absent, failed, differing, unknown), *synonyms(names, output.title)]


def synonyms(names: Names, place: str) -> list[Finding]:
    """A note on names that were read as another for the same animal; none where none was."""
    message = f"read as the same animal: {names.remarks()}"
    return [Finding("category-synonyms", place, message, "name others by --map", "note")] if names.synonyms else []


def _image(
    picture: str,
    images: Mapping[str, dict[str, Any]],
    index: Mapping[str, list[PurePosixPath]],
    stems: Mapping[str, list[dict[str, Any]]],
) -> dict[str, Any] | None:
    """The one image that a tool's name means: by the end of its path, else by its name without suffix."""
    if match := suffix_match(picture, index):
        return images[match]
    same = stems.get(PurePosixPath(picture.replace("\\", "/")).name.casefold(), [])
    return same[0] if len(same) == 1 else None


def _findings(
    output: Output, absent: list[str], failed: list[str], differing: list[str], unknown: Counter[str]
) -> list[Finding]:
    findings = []
    if differing:
        message = f"{len(differing)} detections name another image by file_name than by image_id ({differing[0]:.80})"
        remedy = "nothing to do: names are believed"
        findings.append(Finding("detections-image-differs", output.title, message, remedy, "warning"))
    if absent:
        message = f"{len(absent)} pictures are not in the data set, or several may be meant: {absent[0]!r:.80}"
        remedy = "score against the data set that was detected in"
        findings.append(Finding("detections-other-images", output.title, message, remedy, "warning"))
    if failed:
        message = f"{len(failed)} pictures could not be looked at, and count as without detections: {failed[0]!r:.80}"
        findings.append(Finding("detections-failed", output.title, message, "detect in them again", "warning"))
    if unknown:
        shown = ", ".join(f"{name} ({count})" for name, count in unknown.most_common(5))
        message = f"categories that the data set does not have, left out: {shown}"
        findings.append(Finding("detections-other-categories", output.title, message, "nothing to do", "note"))
    return findings


def number(value: Any) -> float:  # noqa: ANN401 - whatever the file holds
    """A number of a file; NaN where it is none, which validation reports."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")


def sides(box: Sequence[Any]) -> tuple[float, float, float, float]:
    """The four numbers of a box."""
    first, second, third, fourth = map(number, box)
    return first, second, third, fourth


def in_folder(path: Any) -> bool:  # noqa: ANN401 - a path, or a document
    """Whether this is the path of a folder."""
    return isinstance(path, Path) and path.is_dir()
