"""One split of a data set: COCO detection JSON, validated when it is read, and the folder of its images."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wildbench import scorecard
from wildbench.datasets.label_checks import Finding, read_document, refusal, validate
from wildbench.errors import DatasetError
from wildbench.files import write_atomically


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their boxes, in the order of the file they came from.

    Attributes:
        name: Registered name, or a name made of the file's path.
        split: "train", "val" or "test"; null for a file, which is one split.
        coco: Validated COCO detection JSON. Boxes are `[x, y, width, height]` in pixels of the stored image; every
            annotation has `area` and `iscrowd`.
        images_dir: Folder that each image's `file_name` is relative to.
        warnings: What validation found odd, though no error.

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
    def partial_labels(self) -> bool:
        """Whether some images are boxed for some categories only."""
        return any("annotated_categories" in image for image in self.images)

    def scored_categories(self, image: dict[str, Any]) -> set[int]:
        """Ids of the categories that are exhaustively boxed in an image, and therefore scored in it."""
        listed = image.get("annotated_categories")
        return {category["id"] for category in self.categories if listed is None or category["name"] in listed}

    def scored(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The annotations or detections whose category is exhaustively boxed in their image."""
        if not self.partial_labels:
            return entries
        listed = {image["id"]: self.scored_categories(image) for image in self.images}
        return [entry for entry in entries if entry["category_id"] in listed[entry["image_id"]]]

    def image_path(self, image: dict[str, Any]) -> Path:
        """Where an image entry's file is."""
        return self.images_dir / str(image["file_name"])

    @cached_property
    def _boxes(self) -> dict[int, list[dict[str, Any]]]:
        boxes = defaultdict(list)
        for annotation in self.annotations:
            boxes[annotation["image_id"]].append(annotation)
        return dict(boxes)

    def boxes(self, image_id: int) -> list[dict[str, Any]]:
        """Annotations of one image, in file order; none for an empty image."""
        return list(self._boxes.get(image_id, []))

    def take(self, limit: int | None) -> Dataset:
        """The first `limit` images with their annotations; everything where `limit` is None."""
        if limit is None:
            return self
        images = self.images[:limit]
        kept = {image["id"] for image in images}
        annotations = [annotation for annotation in self.annotations if annotation["image_id"] in kept]
        coco = {**self.coco, "images": images, "annotations": annotations}
        return Dataset(self.name, self.split, coco, self.images_dir, self.warnings)

    def record(self, limit: int | None = None) -> scorecard.Dataset:
        """What a scorecard says of it; boxes without crowds.

        Args:
            limit: The --limit this data set was cut to, where it was.
        """
        return scorecard.Dataset(
            name=self.name,
            split=self.split,
            sha256=self.sha256,
            images=len(self.images),
            boxes=sum(not annotation["iscrowd"] for annotation in self.annotations),
            categories=self.category_names,
            partial_labels=self.partial_labels,
            limit=limit,
        )


def read_json(path: Path | str) -> Any:  # noqa: ANN401 - whatever is in the file; validation looks at it
    """Read a JSON file without looking at what it means.

    Raises:
        DatasetError: No such file, or not JSON.
    """
    document, findings = read_document(path)
    refused = refusal(Path(path), findings)
    if refused:
        raise DatasetError(refused[0], remedy=refused[1])
    return document


def read_coco(
    path: Path | str, images_dir: Path | None = None, name: str | None = None, split: str | None = None
) -> Dataset:
    """Read and validate one COCO detection JSON.

    Missing `area` and `iscrowd` are filled in with width × height and 0; nothing else is changed.

    Args:
        path: The file, with any categories.
        images_dir: Folder of the images. Where it is given, every image has to be there with the size the file says;
            where it is not, images are not looked at and the file's own folder is noted.
        name: Name of the data set; by default made of the path.
        split: Its split.

    Raises:
        DatasetError: The file cannot be read, or validation finds an error.
    """
    path = Path(path)
    coco, findings = read_document(path)
    if refusal(path, findings) is None:
        findings += validate(coco, images_dir)
    refused = refusal(path, findings)
    if refused:
        raise DatasetError(refused[0], remedy=f"{refused[1]} (wildbench data validate --all lists every finding)")
    return Dataset(name or _name_of(path), split, _complete(coco), Path(images_dir or path.parent), tuple(findings))


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

    def compact(value: object) -> str:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)

    def section(value: object) -> str:
        if isinstance(value, list) and value:
            return "[\n" + ",\n".join(compact(entry) for entry in value) + "\n]"
        return compact(value)

    return "{\n" + ",\n".join(f"{compact(key)}: {section(coco[key])}" for key in sorted(coco)) + "\n}\n"


def normalised(path: Path) -> Path:
    """The same place whatever folder it is named from; links stay, because caches keep files behind links."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps "..", Path.resolve follows links


def _name_of(path: Path) -> str:
    """`serengeti/annotations/val.json` → "serengeti/val"; any other `x.json` → "x"."""
    path = normalised(path)
    return f"{path.parent.parent.name}/{path.stem}" if path.parent.name == "annotations" else path.stem


def _complete(coco: dict[str, Any]) -> dict[str, Any]:
    """Fill in what COCO lets one leave out and AP needs."""
    annotations = [
        {"area": annotation["bbox"][2] * annotation["bbox"][3], "iscrowd": 0} | annotation
        for annotation in coco["annotations"]
    ]
    return coco | {"annotations": annotations}


SMALL, LARGE = 32.0**2, 96.0**2
"""COCO's bounds, in pixels of `area`: below the first a box is small, from the second on it is large."""


def size_of(area: float) -> str:
    """Name COCO's size of a box by its area in pixels.

    Example:
        >>> size_of(1023), size_of(1024), size_of(9216)
        ('small', 'medium', 'large')
    """
    return "small" if area < SMALL else "medium" if area < LARGE else "large"
