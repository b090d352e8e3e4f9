"""The pictures that show what parksim is made of: the thirteen animals, and scenes with their labels."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image

from wildbench.datasets.parksim.contact import render_contact_sheet
from wildbench.datasets.parksim.scene_sheet import contact_sheet
from wildbench.errors import DatasetError
from wildbench.files import check_writable, write_atomically

SHEETS = ("animals", "scenes")


def write_sheet(name: str, path: Path) -> None:
    """Render a sheet and write it as a JPEG.

    Args:
        name: "animals", the thirteen categories on neutral ground, or "scenes", a picture of each with its boxes.
        path: The file to write.

    Raises:
        DatasetError: No such sheet.
        OutputError: The file cannot be written.
    """
    if name not in SHEETS:
        raise DatasetError(f"no sheet {name!r}", remedy=f"name one of: {', '.join(SHEETS)}")
    check_writable(path)
    if name == "scenes":
        contact_sheet(path)
        return
    stream = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, Image.open(render_contact_sheet(Path(folder, "sheet.png"))) as sheet:
        sheet.save(stream, "JPEG", quality=90)
    write_atomically(path, stream.getvalue())
