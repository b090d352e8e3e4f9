"""Small VOC data sets made of real JPEGs, as the authors' archive is laid out."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (64, 48)


def picture(seed: int = 0, size: tuple[int, int] = SIZE, orientation: int = 1, form: str = "JPEG") -> bytes:
    """A picture of noise, as the bytes of a file."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(stream, form, exif=exif)
    return stream.getvalue()


def box(name: str = "lion", corners: Sequence[object] = (11, 6, 30, 25), extra: str = "") -> str:
    """An `object` element."""
    sides = "".join(
        f"<{tag}>{value}</{tag}>" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    )
    return f"<object><name>{name}</name>{extra}<bndbox>{sides}</bndbox></object>"


def xml(*objects: str, filename: str = "", size: tuple[int, int] | None = SIZE) -> bytes:
    """An annotation file."""
    sides = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    named = f"<filename>{filename}</filename>" if filename else ""
    return f"<annotation>{named}{sides}{''.join(objects)}</annotation>".encode()


def lay(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def parks(images: int = 6) -> dict[str, bytes]:
    """An archive without a flaw: a hyena and a zebra in every second image, lists of both parts."""
    files: dict[str, bytes] = {}
    for number in range(images):
        files[f"parks/images/{number}.jpg"] = picture(number)
        objects = [box("hyna"), box("zebra", (1, 1, 64, 48))] if number % 2 else []
        files[f"parks/annotations/{number}.xml"] = xml(*objects, filename=f"{number}.jpg")
    half = images // 2
    files["parks/train.txt"] = "".join(f"{number}\n" for number in range(half)).encode()
    files["parks/valid.txt"] = "".join(f"{number}\n" for number in range(half, images)).encode()
    return files
