"""Submissions: what is in one, and how they are made: recipes, methods and sweeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from wildbench.cli.tables._console import add_row, table_of
from wildbench.datasets.findings import lines

if TYPE_CHECKING:
    from wildbench.compression.recipes import Recipe
    from wildbench.compression.subject import Method
    from wildbench.submissions.formats import Rounding
    from wildbench.submissions.inspection import Inspection, Tensor

FP32_BYTES = 4

LARGEST = 12
"""Tensors that are listed unless all are asked for."""


def inspection_tables(inspection: Inspection, most: int | None = LARGEST) -> list[Table]:
    """The manifest, bytes by part, and where tensors are listed: their costs, bytes by codec and the largest ones."""
    manifest = table_of(f"{inspection.path.name} ({inspection.format})")
    manifest.show_header = False
    for key, value in inspection.manifest.model_dump(mode="json", exclude_defaults=True).items():
        add_row(manifest, key, ", ".join(value) if key in ("categories", "authors") else str(value))
    if inspection.activations:
        add_row(manifest, "activations", _rounding(inspection.activations))
    for line in lines(inspection.findings):
        add_row(manifest, "note", line)
    parts = table_of("bytes by part", "part", "bytes", "share")
    _add_footer(parts, "the file", f"{inspection.file_bytes:,}", "100.0 %")
    for name, size in inspection.bytes_by_part.items():
        add_row(parts, name, f"{size:,}", f"{100 * size / inspection.file_bytes:.1f} %")
    if inspection.tensors is None:
        parts.caption = Text(f"tensors not listed: {inspection.reason}")
        return [manifest, parts]
    tensors = inspection.tensors
    return [manifest, parts, _cost_table(inspection), _codec_table(tensors), _tensor_table(tensors, most)]


def _add_footer(table: Table, *cells: str) -> None:
    table.show_footer = True
    for column, cell in zip(table.columns, cells, strict=True):
        column.footer = cell


def _rounding(activations: Mapping[str, Rounding]) -> str:
    """How activations are quantized, such as "12 inputs and 3 outputs of layers in 8 bits"."""
    counts = Counter(
        (bits, side)
        for rounding in activations.values()
        for side, bits in (("inputs", rounding.input), ("outputs", rounding.output))
        if bits is not None
    )
    widths = sorted({bits for bits, _ in counts}, reverse=True)
    return ", ".join(
        f"{counts[bits, 'inputs']} inputs and {counts[bits, 'outputs']} outputs of layers in {bits} bits"
        for bits in widths
    )


def _cost_table(inspection: Inspection) -> Table:
    """The file beside what its content would take by other rules."""
    parameters, nonzero = inspection.parameters, inspection.nonzero
    costs = {
        "dense fp32, 4 bytes per parameter": None if parameters is None else FP32_BYTES * parameters,
        "non-zero parameters in fp32": None if nonzero is None else FP32_BYTES * nonzero,
        "parameters by MicroNet's bitmask rule": inspection.bitmask_bytes,
        "all tensors at their zeroth-order entropy": inspection.entropy_bytes,
        "the file": inspection.file_bytes,
    }
    table = table_of("what it would take", "rule", "bytes", "the file is")
    for rule, cost in costs.items():
        ratio = f"{inspection.file_bytes / cost:.3f} x" if cost else "-"
        add_row(table, rule, "-" if cost is None else f"{cost:,.0f}", ratio)
    return table


def _codec_table(tensors: list[Tensor]) -> Table:
    """Bytes by codec, beside their entropy."""
    headings = ("codec", "tensors", "elements", "bytes", "at entropy", "bits per element")
    table = table_of("bytes by codec", *headings)
    for codec in sorted({tensor.codec for tensor in tensors}):
        stored = [tensor for tensor in tensors if tensor.codec == codec]
        elements, size = sum(tensor.elements for tensor in stored), sum(tensor.bytes for tensor in stored)
        entropy = _sum([tensor.entropy_bytes for tensor in stored])
        bits = f"{8 * size / elements:.2f}" if elements else "-"
        add_row(table, codec, str(len(stored)), f"{elements:,}", f"{size:,}", entropy, bits)
    return table


def _tensor_table(tensors: list[Tensor], most: int | None) -> Table:
    """The tensors that take most bytes, beside what they would take by other rules; in the footer, all of them."""
    largest = sorted(tensors, key=lambda tensor: (-tensor.bytes, tensor.name))[:most]
    which = "all" if len(largest) == len(tensors) else f"the largest {len(largest)} of"
    rules: dict[str, Callable[[Tensor], float | None]] = {
        "non-zero": lambda tensor: tensor.nonzero,
        "fp32": lambda tensor: FP32_BYTES * tensor.elements,
        "bitmask": lambda tensor: tensor.bitmask_bytes,
        "entropy": lambda tensor: tensor.entropy_bytes,
        "bytes": lambda tensor: tensor.bytes,
    }
    title = f"{which} {len(tensors)} tensors, and their bytes by each rule"
    table = table_of(title, "tensor, shape, codec", *rules)
    totals = (_sum([rule(tensor) for tensor in tensors]) for rule in rules.values())
    _add_footer(table, "all tensors", *totals)
    for tensor in largest:
        shape = "x".join(map(str, tensor.shape)) or "scalar"
        figures = [_sum([rule(tensor)]) for rule in rules.values()]
        add_row(table, f"{tensor.name}\n{shape} {tensor.dtype} {tensor.codec}", *figures)
    return table


def _sum(values: list[float | None]) -> str:
    """The sum, or a dash where one is not known."""
    known = [value for value in values if value is not None]
    return f"{sum(known):,.0f}" if len(known) == len(values) else "-"


def recipes_table(recipes: Sequence[Recipe]) -> Table:
    """One row per recipe: what it is, its steps, whose experiment it is."""
    headings = ("recipe", "what it does", "steps", "source")
    table = table_of("recipes: wildbench baseline run NAME --from dense.pt -o out.pt", *headings, left=headings)
    table.columns[0].no_wrap = True
    for recipe in recipes:
        add_row(table, recipe.name, recipe.summary, recipe.chain, recipe.source or "-")
    return table


def methods_table(methods: Mapping[str, Method]) -> Table:
    """One row per method: its family, what it does, what it takes, where it comes from."""
    headings = ("method", "family", "what it does", "takes", "source")
    table = table_of("methods: what a step of a recipe may name", *headings, left=headings)
    table.columns[0].no_wrap = True
    for name, method in methods.items():
        takes = ", ".join(f"{key} = {field.default}" for key, field in method.settings.model_fields.items())
        add_row(table, name, method.family, method.summary, takes or "-", method.source)
    return table


def sweep_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> Table:
    """One row per point of a sweep, dense parents first."""
    table = table_of(title, *(heading.replace(" ", "\n") for heading in headings), caption=caption)
    for row in rows:
        add_row(table, *row)
    return table
