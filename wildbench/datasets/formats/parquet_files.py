"""Hugging Face's Parquet files: a row a picture, whose bytes are in the file or that lies beside it, and its `objects`.

Pictures are laid out as an image folder beside the system's temporary files, and read as one.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._form import Folder, Form, part_in
from wildbench.datasets.formats._picture_files import part_of
from wildbench.datasets.formats.image_folder import names_of_card, read_image_folder
from wildbench.datasets.image_files import SUFFIXES, index_of, suffix_match
from wildbench.errors import DatasetError, needs
from wildbench.progress import Progress

BATCH = 32
"""Rows that are in memory at once, with their pictures."""

MOST_HEADER = 16 << 20
"""Bytes of a text, and entries of a list, in the description of a file."""

COLUMNS = ("image", "file_name", "width", "height", "objects")


def _rows(path: Path, names: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of a file, and into `names` the categories that its description lists."""
    with needs("parquet"):
        import pyarrow
        from pyarrow import parquet
    try:
        with parquet.ParquetFile(
            path, thrift_string_size_limit=MOST_HEADER, thrift_container_size_limit=MOST_HEADER
        ) as file:
            schema = file.schema_arrow
            described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
            names += _listed(described) if not names else []
            for batch in file.iter_batches(BATCH, columns=[name for name in COLUMNS if name in schema.names]):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        what = f"{path.name}: {' '.join(str(error).split())[:200]}"
        raise DatasetError(what, code="not-parquet", remedy="download it again") from None


def _listed(described: Any) -> list[str]:  # noqa: ANN401 - whatever the file holds
    """The names of a `ClassLabel`, wherever it is in the features of a data set."""
    if isinstance(described, dict):
        if described.get("_type") == "ClassLabel" and isinstance(described.get("names"), list):
            return [str(name) for name in described["names"]]
        return next((found for value in described.values() if (found := _listed(value))), [])
    return next((found for value in described if (found := _listed(value))), []) if isinstance(described, list) else []


class _Layout:
    """An image folder that is made of the rows of Parquet files."""

    def __init__(self, folder: Folder, place: Path) -> None:
        self.folder, self.place = folder, place
        self.index = index_of(folder.pictures)
        self.taken: set[PurePosixPath] = set()

    def add(self, part: str, number: int, row: dict[str, Any]) -> str | None:
        """Lay out the picture of a row; its name, or None where the row has none."""
        image = row.get("image") or row.get("file_name")
        image = {"path": image} if isinstance(image, str) else image
        if not isinstance(image, dict):
            return None
        stated, data = image.get("path"), image.get("bytes")
        name = PurePosixPath(str(stated or "").replace("\\", "/")).name
        if PurePosixPath(name).suffix.casefold() not in SUFFIXES:
            name = f"{name or number}.png" if data else name
        name = name if PurePosixPath(part, name) not in self.taken else f"{number}-{name}"
        self.taken.add(PurePosixPath(part, name))
        target = self.place / part / name
        if isinstance(data, bytes):
            target.write_bytes(data)
        elif match := suffix_match(str(stated), self.index):
            target.symlink_to((self.folder.path / match).absolute())
        return name

    def lay(self, path: PurePosixPath, names: list[str]) -> None:
        """Lay out the pictures of one file, with a `metadata.jsonl`."""
        part = part_of(path.stem) or part_in(path) or "all"
        (self.place / part).mkdir(exist_ok=True)
        with (self.place / part / "metadata.jsonl").open("a", encoding="utf-8") as table:
            for number, row in enumerate(_rows(self.folder.path / path, names)):
                if name := self.add(part, number, row):
                    table.write(json.dumps({**row, "image": None, "file_name": name}, default=str) + "\n")


def _read(folder: Folder, progress: Progress) -> Collection:
    folder.made = tempfile.TemporaryDirectory(prefix="wildbench-parquet-")  # while the folder is in use
    place, names = Path(folder.made.name), names_of_card(folder)
    layout, paths = _Layout(folder, place), folder.named(".parquet")
    for done, path in enumerate(paths, start=1):
        layout.lay(path, names)
        progress("read Parquet files", done, len(paths))
    inner = Folder(place, known=folder.known, count_ignored=folder.count_ignored)
    return read_image_folder("parquet", inner, names, progress)


FORM = Form("parquet", "Parquet", frozenset({".parquet", ".md"}), lambda folder: bool(folder.named(".parquet")), _read)
"""How such a folder is known and read."""
