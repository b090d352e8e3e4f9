"""One split of a data set: COCO detection JSON, validated when it is read, and the folder of its images.

`Labels` are its boxes in columns: what everything that computes takes.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt

from wildbench import scorecard
from wildbench.categories import Names
from wildbench.datasets.dialects import SECTIONS, plain
from wildbench.datasets.findings import Finding, has_error, place_of, read_document, refuse
from wildbench.datasets.image_files import images_near, locate, normalised
from wildbench.datasets.label_checks import validate
from wildbench.errors import DatasetError, WildbenchError, needs
from wildbench.files import read_sums, write_atomically

if TYPE_CHECKING:
    import pandas

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]


def objects(values: Iterable[object]) -> Objects:
    """One row for each value, whatever it is: numpy would make a table of lists."""
    return np.fromiter(values, dtype=object)


SUMS = "SHA256SUMS"
"""File with the hashes of the images, in the folder of the labels."""

COLUMNS: Mapping[str, tuple[str, Any]] = {
    "image_ids": ("image_id", np.int64),
    "category_ids": ("category_id", np.int64),
    "boxes": ("bbox", np.float64),
    "ids": ("id", np.int64),
    "areas": ("area", np.float64),
    "crowd": ("iscrowd", np.bool_),
    "scores": ("score", np.float64),
    "masks": ("segmentation", object),
}
"""Key in COCO and type of each column."""


@dataclass(frozen=True, eq=False, repr=False)
class Columns:
    """Boxes in images: one read-only array for each thing that is known of them.

    Attributes:
        image_ids: int64 [n], as in the data set.
        category_ids: int64 [n], as in the data set.
        boxes: float64 [n, 4]: x, y, width, height in pixels of the stored image.
    """

    image_ids: Ints
    category_ids: Ints
    boxes: Floats

    error: ClassVar[type[WildbenchError]] = DatasetError

    def __post_init__(self) -> None:
        for name, values in self.columns().items():
            if values is not None:
                object.__setattr__(self, name, self._checked(name, values))
        infinite, negative = ~np.isfinite(self.boxes).all(axis=1), (self.boxes[:, 2:] < 0).any(axis=1)
        self.refuse_first(infinite, "box-not-finite", "is not finite", "give x, y, width, height in pixels")
        self.refuse_first(negative, "box-negative-side", "has a negative side", "give x, y, width, height, not corners")

    def _checked(self, name: str, values: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - whatever numpy takes
        dtype = COLUMNS[name][1]
        array = objects(values) if dtype is object else np.asarray(values, dtype=dtype)
        if name == "boxes" and not array.size:
            array = array.reshape(-1, 4)
        shape = [len(self.image_ids), 4] if name == "boxes" else [len(self.image_ids)]
        if list(array.shape) != shape:
            what = f"{name} has shape {list(array.shape)}, not {shape}"
            raise self.error(what, code="columns-differ", remedy="give every column one row for each box")
        view = array.view()
        view.flags.writeable = False
        return view

    def refuse_first(self, wrong: Flags | np.bool_, code: str, what: str, remedy: str) -> None:
        """Raise this container's error for the first row that breaks a rule."""
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise self.error(f"[{row}]: box {self.boxes[row].tolist()} {what}", code=code, remedy=remedy)

    def __len__(self) -> int:
        return len(self.image_ids)

    def columns(self) -> dict[str, Any]:
        """Every column by its name; None for masks where there are none."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def __getitem__(self, rows: slice | Flags | Ints) -> Self:
        """Some of them: a slice, a mask, or places in the order wanted."""
        columns: dict[str, Any] = {name: None if one is None else one[rows] for name, one in self.columns().items()}
        return type(self)(**columns)

    def __repr__(self) -> str:
        masks = ", with masks" if getattr(self, "masks", None) is not None else ""
        return f"{type(self).__name__}({len(self)} boxes in {len(np.unique(self.image_ids))} images{masks})"

    @property
    def xyxy(self) -> Floats:
        """float64 [n, 4]: x1, y1, x2, y2 in pixels."""
        return np.hstack([self.boxes[:, :2], self.boxes[:, :2] + self.boxes[:, 2:]])

    def of_image(self, image_id: int) -> Self:
        """Those in one image, in their order."""
        return self[self.image_ids == image_id]

    @classmethod
    def concatenate(cls, parts: Iterable[Self]) -> Self:
        """Several in one, in their order."""
        parts = [part for part in parts if len(part)] or [cls.from_coco([])]
        every = {name: [part.columns()[name] for part in parts] for name in parts[0].columns()}
        columns: dict[str, Any] = {
            name: None if any(values is None for values in several) else np.concatenate(several)
            for name, several in every.items()
        }
        return cls(**columns)

    @classmethod
    def from_coco(cls, entries: Sequence[Mapping[str, Any]]) -> Self:
        """Gather COCO annotations or results, whose keys are sound."""
        columns: dict[str, Any] = {}
        for name in (one.name for one in fields(cls)):
            key = COLUMNS[name][0]
            if name == "masks":
                masks = [entry.get(key) or None for entry in entries]
                columns[name] = masks if any(masks) else None
            else:
                columns[name] = [entry[key] for entry in entries]
        return cls(**columns)

    def to_coco(self) -> list[dict[str, Any]]:
        """The same as COCO annotations or results, one object for each box."""
        columns = {COLUMNS[name][0]: values.tolist() for name, values in self.columns().items() if values is not None}
        if "iscrowd" in columns:
            columns["iscrowd"] = [int(flag) for flag in columns["iscrowd"]]
        rows = zip(*columns.values(), strict=True)
        return [{key: one for key, one in zip(columns, row, strict=True) if one is not None} for row in rows]

    def to_frame(self) -> pandas.DataFrame:
        """A table with one row for each box, masks left out; a MissingExtra where pandas is not installed."""
        with needs("board"):
            import pandas
        columns = {COLUMNS[name][0]: values for name, values in self.columns().items() if name != "masks"}
        sides = dict(zip(("x", "y", "width", "height"), columns.pop("bbox").T, strict=True))
        return pandas.DataFrame(columns | sides)


@dataclass(frozen=True, eq=False, repr=False)
class Labels(Columns):
    """The boxes that a data set says are there, crowds too, in the order of its file.

    Attributes:
        ids: int64 [n]: of the annotations.
        areas: float64 [n], in square pixels: what decides whether a box is small, medium or large.
        crowd: bool [n]: whether it stands for a group, so that finding it counts neither way.
        masks: object [n]: COCO segmentations, None where a box has none; None where no box has one.

    Raises:
        DatasetError: `columns-differ`, `box-not-finite` or `box-negative-side`.

    Example:
        >>> labels = Labels([4, 9], [1, 1], [[0, 0, 8, 2], [1, 1, 4, 4]], ids=[1, 2], areas=[16, 16], crowd=[0, 1])
        >>> labels, len(labels[~labels.crowd]), labels.of_image(9).xyxy.tolist()
        (Labels(2 boxes in 2 images), 1, [[1.0, 1.0, 5.0, 5.0]])
    """

    ids: Ints
    areas: Floats
    crowd: Flags
    masks: Objects | None = None


Rows = TypeVar("Rows", bound=Columns)


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images and their boxes, in the order of the file they came from.

    Attributes:
        name: Registered name, or a name made of the file's path.
        split: "train", "val" or "test"; null for a file, which is one split.
        coco: Validated COCO detection JSON. Boxes are `[x, y, width, height]` in pixels of the stored image; every
            annotation has `area` and `iscrowd`.
        images_dir: Folder that each image's `file_name` is relative to.
        warnings: What validation found odd, though no error.
        located: Where below `images_dir` the pictures are whose `file_name` says something else.
        unmerged: The data set before categories were merged (`category_merging.merged`).
        grouping: How they were, and what names mean; None where categories are the file's own.

    Example:
        >>> data = Dataset("tiny", None, {"images": [{"id": 4, "file_name": "a.jpg", "width": 8, "height": 8}],
        ...     "categories": [{"id": 1, "name": "lion"}], "annotations": []}, Path("photos"))
        >>> data.category_names, data.image_path(data.images[0]).as_posix(), data.boxes(4)
        (['lion'], 'photos/a.jpg', [])
    """

    name: str
    split: str | None
    coco: dict[str, Any]
    images_dir: Path
    warnings: tuple[Finding, ...] = ()
    located: Mapping[str, str] = field(default_factory=dict)
    unmerged: Dataset | None = None
    grouping: scorecard.Grouping | None = None

    @property
    def images(self) -> list[dict[str, Any]]:
        """Image entries: `id`, `file_name`, `width`, `height`, and what else the file says of them."""
        images: list[dict[str, Any]] = self.coco["images"]
        return images

    @property
    def annotations(self) -> list[dict[str, Any]]:
        """Annotation entries of all images, crowds too."""
        annotations: list[dict[str, Any]] = self.coco["annotations"]
        return annotations

    @property
    def categories(self) -> list[dict[str, Any]]:
        """Category entries by ascending id."""
        return sorted(self.coco["categories"], key=lambda category: category["id"])

    @property
    def category_names(self) -> list[str]:
        """Names by ascending id."""
        return [category["name"] for category in self.categories]

    @cached_property
    def sha256(self) -> str:
        """Hash of the canonical JSON: that of the file `write_coco` would write."""
        return coco_sha256(self.coco)

    @property
    def merged_ids(self) -> dict[int, int]:
        """The id of the category that each one is now, by its own; the same where none was merged."""
        return {old: entry["id"] for entry in self.categories for old in entry.get("members", [entry["id"]])}

    def names(self) -> Names:
        """What a detector's names mean here: the id of a category or, of one that was merged, its own before."""
        levels = [self.categories, self.unmerged.categories if self.unmerged else []]
        aliases = self.grouping.names if self.grouping else {}
        return Names([{entry["name"]: entry["id"] for entry in level} for level in levels], aliases)

    @property
    def known_ids(self) -> frozenset[int] | None:
        """Ids of the categories that a person says the detector can tell; None where nobody does.

        Raises:
            DatasetError: `unknown-category`.
        """
        known = self.grouping.known if self.grouping else None
        if known is None:
            return None
        names = self.names()
        found = {name: names.find(name) for name in known}
        if absent := next((name for name, number in found.items() if number is None), None):
            what, remedy = f"{self.name} has no category {absent!r}", f"name some of: {', '.join(self.category_names)}"
            raise DatasetError(what, code="unknown-category", remedy=remedy)
        return frozenset(self.merged_ids[number] for number in found.values() if number is not None)

    @property
    def original_ids(self) -> dict[int, Any]:
        """What the file called the images that are renumbered here, by their ids."""
        return {image["id"]: image["original_id"] for image in self.images if "original_id" in image}

    @property
    def partial_labels(self) -> bool:
        """Whether some images are boxed for some categories only."""
        return any("annotated_categories" in image for image in self.images)

    def scored_categories(self, image: dict[str, Any]) -> set[int]:
        """Ids of the categories that are exhaustively boxed in an image, and therefore scored in it."""
        listed = image.get("annotated_categories")
        return {category["id"] for category in self.categories if listed is None or category["name"] in listed}

    @cached_property
    def labels(self) -> Labels:
        """Every annotation, crowds too, in file order."""
        return Labels.from_coco([{"id": place, **entry} for place, entry in enumerate(self.annotations, start=1)])

    def scored(self, boxes: Rows) -> Rows:
        """The labels or detections whose category is exhaustively boxed in their image."""
        if not self.partial_labels:
            return boxes
        listed = {image["id"]: self.scored_categories(image) for image in self.images}
        pairs = zip(boxes.image_ids.tolist(), boxes.category_ids.tolist(), strict=True)
        return boxes[np.array([category in listed[image] for image, category in pairs], dtype=np.bool_)]

    def __repr__(self) -> str:
        counts = f"{len(self.images)} images, {len(self.annotations)} boxes, {len(self.categories)} categories"
        return f"Dataset({self.name}{f' {self.split}' if self.split else ''}: {counts})"

    def _repr_html_(self) -> str:
        """The same for a notebook, with how many boxes each category has."""
        counts = Counter(self.labels.category_ids.tolist())
        cells = [(html.escape(entry["name"]), counts[entry["id"]]) for entry in self.categories]
        rows = "".join(f"<tr><td>{name}</td><td>{count}</td></tr>" for name, count in cells)
        return f"<p>{html.escape(repr(self))}</p><table><tr><th>category</th><th>boxes</th></tr>{rows}</table>"

    def to_frame(self) -> pandas.DataFrame:
        """A table as that of `Labels.to_frame`, with the names of each box's file and category."""
        frame = self.labels.to_frame()
        frame.insert(0, "file_name", frame["image_id"].map({image["id"]: image["file_name"] for image in self.images}))
        frame.insert(1, "category", frame["category_id"].map({entry["id"]: entry["name"] for entry in self.categories}))
        return frame

    @cached_property
    def sums(self) -> dict[Path, str]:
        """SHA-256 of images by their path, as `data import` stored them beside the labels; empty where it did not."""
        stored = read_sums(self.images_dir.parent / "annotations" / SUMS)
        return {self.images_dir / name: sha256 for name, sha256 in stored.items()}

    def image_path(self, image: dict[str, Any]) -> Path:
        """Where an image entry's file is."""
        name = str(image["file_name"])
        return self.images_dir / self.located.get(name, name)

    @cached_property
    def _boxes(self) -> dict[int, list[dict[str, Any]]]:
        boxes = defaultdict(list)
        for annotation in self.annotations:
            boxes[annotation["image_id"]].append(annotation)
        return boxes

    def boxes(self, image_id: int) -> list[dict[str, Any]]:
        """Annotations of one image, in file order; none for an empty image."""
        return list(self._boxes.get(image_id, []))

    def take(self, limit: int | None) -> Dataset:
        """The first `limit` images with their annotations; everything where `limit` is None."""
        if limit is None:
            return self
        return replace(self, coco=subset(self.coco, {image["id"] for image in self.images[:limit]}))

    def record(self, limit: int | None = None) -> scorecard.Dataset:
        """What a scorecard says of it, with the --limit it was cut to; boxes without crowds."""
        return scorecard.Dataset(
            name=self.name,
            split=self.split,
            sha256=self.sha256,
            images=len(self.images),
            boxes=sum(not annotation["iscrowd"] for annotation in self.annotations),
            categories=self.category_names,
            partial_labels=self.partial_labels,
            limit=limit,
            grouping=self.grouping,
        )


def read_json(path: Path | str) -> Any:  # noqa: ANN401 - whatever is in the file; validation looks at it
    """Read a JSON file without looking at what it means; a DatasetError where there is none, or it is not JSON."""
    document, findings = read_document(path)
    refuse(path, findings)
    return document


UNREADABLE = ("image-unreadable", "image-missing", "image-too-large")
"""Findings on a picture that `skip_unreadable` lets pass."""


def read_coco(
    path: Path | str,
    images_dir: Path | None = None,
    name: str | None = None,
    split: str | None = None,
    *,
    skip_unreadable: bool = False,
    repair: Repair | None = None,
) -> Dataset:
    """Read and validate one COCO detection JSON.

    Missing `area` and `iscrowd` are filled in with width × height and 0; nothing else is changed.

    Args:
        path: The file, with any categories.
        images_dir: Folder of the images, where every one has to be with the size the file says. By default images are
            not looked at, and the file's own folder is noted.
        name: Of the data set; by default made of the path.
        split: Its split.
        skip_unreadable: Keep images whose pictures cannot be read, for `registry.without_unreadable` to leave out.
        repair: As for `check_coco`.

    Raises:
        DatasetError: The file cannot be read, or validation finds an error.
    """
    path = Path(path)
    coco, located, findings = check_coco(path, images_dir, repair)
    findings = [one for one in findings if not (skip_unreadable and one.code in UNREADABLE)]
    refuse(path, findings, hint=" (wildbench data validate --all lists every finding)")
    complete = [{"area": one["bbox"][2] * one["bbox"][3], "iscrowd": 0} | one for one in coco["annotations"]]
    coco = coco | {"annotations": complete}
    folder = Path(images_dir or path.parent)
    return Dataset(name or _name_of(path), split, coco, folder, tuple(findings), located)


def check_pictures(path: Path, coco: Mapping[str, Any], images_dir: Path, located: Mapping[str, str]) -> list[Finding]:
    """Decode every picture that has a header, and report those of which no whole picture comes."""
    from wildbench.datasets.images import unreadable  # loads OpenCV

    data = Dataset(path.stem, None, dict(coco), images_dir, (), located)
    places = {data.image_path(image): place_of("images", at, image) for at, image in enumerate(data.images)}
    faults = unreadable([one for one in places if one.is_file()])
    found = [
        Finding(error.code.partition("/")[2], places[one], f"{one} cannot be decoded", error.remedy)
        for one, error in faults.items()
    ]
    marked = [image for image in data.images if image.get("corrupt") is True]
    if marked:
        message = f"{len(marked)} images are marked corrupt: {marked[0]['file_name']!r:.60}"
        found.append(Finding("image-corrupt", "images", message, "leave them out by --skip-unreadable", "warning"))
    return found


Repair = Callable[[dict[str, Any], Mapping[str, str]], list[Finding]]
"""Changes COCO data in place, given where its pictures are, and says what it changed."""


def check_coco(
    path: Path, images_dir: Path | None = None, repair: Repair | None = None
) -> tuple[Any, dict[str, str], list[Finding]]:
    """Read a COCO file, make it plain, and look for everything that is wrong with it.

    Args:
        path: The file.
        images_dir: Folder of the images, which are looked at then.
        repair: Mends the plain data before it is validated.

    Returns:
        The data, sound where no finding is an error; where below `images_dir` the pictures are whose `file_name` says
        something else; and the findings.
    """
    coco, findings = read_document(path)
    if has_error(findings) or not all(isinstance(section, list) for section in _sections(coco)):
        return coco, {}, findings or validate(coco)
    unsized = any(isinstance(one, dict) and not one.get("width") for one in coco["images"])
    sizes = _stored_sizes(path, coco["images"], images_dir) if unsized else lambda _: None
    coco, changes = plain(coco, sizes)
    images = [image for image in coco["images"] if isinstance(image, dict) and isinstance(image.get("file_name"), str)]
    located, misspelt = locate(images, images_dir) if images_dir else ({}, [])
    changes += repair(coco, located) if repair else []
    return coco, located, [*findings, *changes, *misspelt, *validate(coco, images_dir, located)]


def _sections(coco: object) -> list[object]:
    return [coco.get(name) for name in SECTIONS] if isinstance(coco, dict) else [None]


def _stored_sizes(
    path: Path, images: Sequence[Any], images_dir: Path | None
) -> Callable[[str], tuple[int, int] | None]:
    """Reads width and height from the headers of a file's pictures, where they are near."""
    try:
        folder = images_dir or images_near(path, images)
    except DatasetError:
        return lambda _: None
    named = [one for one in images if isinstance(one, dict) and isinstance(one.get("file_name"), str)]
    located, _ = locate(named, folder)

    def size(name: str) -> tuple[int, int] | None:
        from PIL import Image

        with (
            suppress(OSError, ValueError, Image.DecompressionBombError),
            Image.open(folder / located.get(name, name)) as picture,
        ):
            return picture.size
        return None

    return size


def subset(coco: Mapping[str, Any], ids: Set[int]) -> dict[str, Any]:
    """Some images of COCO data by their ids, with their annotations; order and everything else stay.

    Example:
        >>> subset({"images": [{"id": 1}, {"id": 2}], "annotations": [{"image_id": 1}], "info": {}}, {2})
        {'images': [{'id': 2}], 'annotations': [], 'info': {}}
    """
    images = [image for image in coco["images"] if image["id"] in ids]
    annotations = [annotation for annotation in coco["annotations"] if annotation["image_id"] in ids]
    return {**coco, "images": images, "annotations": annotations}


def write_coco(coco: dict[str, Any], path: Path) -> None:
    """Write canonical JSON atomically: keys sorted, an entry a line, so that a change is a short diff."""
    write_atomically(path, canonical_json(coco).encode())


def coco_sha256(coco: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(coco).encode()).hexdigest()


def canonical_json(coco: Mapping[str, Any]) -> str:
    """The one text of a COCO dict: keys sorted, an entry a line; entries keep their order, which decides ties in AP.

    Example:
        >>> print(canonical_json({"images": [{"width": 4, "id": 1}], "categories": []}), end="")
        {
        "categories": [],
        "images": [
        {"id": 1, "width": 4}
        ]
        }
    """
    compact = partial(json.dumps, sort_keys=True, ensure_ascii=False, allow_nan=False)

    def section(value: object) -> str:
        if isinstance(value, list) and value:
            return "[\n" + ",\n".join(map(compact, value)) + "\n]"
        return compact(value)

    return "{\n" + ",\n".join(f"{compact(key)}: {section(coco[key])}" for key in sorted(coco)) + "\n}\n"


def _name_of(path: Path) -> str:
    """`serengeti/annotations/val.json` → "serengeti/val"; any other `x.json` → "x"."""
    path = normalised(path)
    return f"{path.parent.parent.name}/{path.stem}" if path.parent.name == "annotations" else path.stem


SMALL, LARGE = 32.0**2, 96.0**2
"""COCO's bounds, in pixels of `area`: below the first a box is small, from the second on it is large."""


def size_of(area: float) -> str:
    """Name COCO's size of a box by its area in pixels.

    Example:
        >>> size_of(1023), size_of(1024), size_of(9216)
        ('small', 'medium', 'large')
    """
    return "small" if area < SMALL else "medium" if area < LARGE else "large"
