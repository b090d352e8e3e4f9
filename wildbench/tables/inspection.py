"""A submission file: its manifest, its bytes and its tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from wildbench.tables.console import add_row

if TYPE_CHECKING:
    from wildbench.submissions.inspection import Inspection


def inspection_tables(inspection: Inspection, most: int = 12) -> list[Table]:
    """Three tables: the manifest, bytes by part, and the largest tensors."""
    manifest = Table(title=Text(f"{inspection.path.name} ({inspection.kind})"), title_justify="left", show_header=False)
    for key, value in inspection.manifest.model_dump(mode="json", exclude_defaults=True).items():
        add_row(manifest, key, ", ".join(value) if key in ("categories", "authors") else str(value))
    parts = Table(title="bytes by part", title_justify="left", show_footer=True)
    parts.add_column("part", "the file")
    parts.add_column("bytes", f"{inspection.file_bytes:,}", justify="right")
    parts.add_column("share", "100.0 %", justify="right")
    for name, size in inspection.bytes_by_part.items():
        add_row(parts, name, f"{size:,}", f"{100 * size / inspection.file_bytes:.1f} %")
    if inspection.tensors is None:
        parts.caption = Text(f"tensors not listed: {inspection.reason}")
        return [manifest, parts]
    return [manifest, parts, _tensor_table(inspection, most)]


def _tensor_table(inspection: Inspection, most: int) -> Table:
    """The tensors that take most bytes, and in the footer all of them."""
    tensors = sorted(inspection.tensors or [], key=lambda tensor: (-tensor.bytes, tensor.name))
    nonzero = [tensor.nonzero for tensor in tensors if tensor.nonzero is not None]
    table = Table(title=Text(f"the largest of {len(tensors)} tensors"), title_justify="left", show_footer=True)
    table.add_column("tensor", "all tensors")
    table.add_column("shape")
    table.add_column("type")
    table.add_column("codec")
    table.add_column("elements", f"{sum(tensor.elements for tensor in tensors):,}", justify="right")
    table.add_column("non-zero", f"{sum(nonzero):,}" if len(nonzero) == len(tensors) else "-", justify="right")
    table.add_column("bytes", f"{sum(tensor.bytes for tensor in tensors):,}", justify="right")
    for tensor in tensors[:most]:
        shape = " x ".join(map(str, tensor.shape)) or "scalar"
        count = "-" if tensor.nonzero is None else f"{tensor.nonzero:,}"
        add_row(
            table, tensor.name, shape, tensor.dtype, tensor.codec, f"{tensor.elements:,}", count, f"{tensor.bytes:,}"
        )
    return table
