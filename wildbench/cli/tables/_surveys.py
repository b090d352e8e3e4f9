"""What `wildbench inspect` says of a file's network: its inputs and outputs, its metadata, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from wildbench.cli.tables._console import add_row, table_of
from wildbench.cli.tables._submissions import LARGEST, inspection_tables

if TYPE_CHECKING:
    from wildbench.submissions.formats import Signature
    from wildbench.submissions.survey import Answered, Probe, Survey

LONGEST = 160
"""Characters of a value of metadata, or of a list of names, that are shown."""


def survey_tables(survey: Survey, most: int | None = LARGEST) -> list[Table]:
    """The manifest or the nearest one, inputs and outputs, metadata, answers, and where the bytes are."""
    manifest, *rest = inspection_tables(survey.inspection, most=most)
    admitted = survey.admitted
    tables = [_manifest(survey, manifest)]
    if admitted.signature:
        tables.append(_signature(admitted.signature))
    metadata = {key: value for key, value in admitted.metadata.items() if value}
    if metadata:
        tables.append(_metadata(metadata))
    if survey.probe:
        tables.append(_answers(survey.probe))
    tables[-1].caption = Text(f"not run: {survey.reason}") if survey.reason else tables[-1].caption
    return [*tables, *rest]


def _manifest(survey: Survey, table: Table) -> Table:
    """The complete one as it is; of one with gaps what is known, and what is not."""
    if survey.draft is not None:
        table = table_of(str(table.title), caption=str(table.caption or ""))
        table.show_header = False
        for key, value in survey.draft.document.items():
            add_row(table, key, _names(value) if key == "categories" else str(value))
        for key, gap in survey.draft.gaps.items():
            add_row(table, "not known", f"{key}: {gap}")
    add_row(table, "manifest", survey.origin)
    for note in survey.notes:
        add_row(table, "note", note)
    return table


def _names(names: list[str]) -> str:
    """Categories; those that nobody knows by their number."""
    return f"??? x {len(names)}" if set(names) == {"???"} else shortened(", ".join(names))


def _signature(signature: Signature) -> Table:
    table = table_of("inputs and outputs", "name", "shape", "type", "", left=("shape", "type", ""))
    for side, ports in (("input", signature.inputs), ("output", signature.outputs)):
        for port in ports:
            shape = " x ".join("free" if length is None else str(length) for length in port.shape)
            scale = port.quantization and f", {port.quantization[0]:.6g} x (stored - {port.quantization[1]})"
            add_row(table, port.name, shape or "scalar", f"{port.dtype}{scale or ''}", side)
    return table


def _metadata(metadata: Mapping[str, str]) -> Table:
    table = table_of("what its tool wrote into it")
    table.show_header = False
    for key, value in metadata.items():
        add_row(table, key, shortened(" ".join(value.split())))
    return table


def _answers(probe: Probe) -> Table:
    title = "what it answers to a grey and a rendered picture"
    table = table_of(title, "output", "columns", "from", "to", "they are", left=("columns", "they are"))
    for output in probe.outputs:
        for begin, end, low, high, words in _groups(output):
            columns = f"{begin}-{end - 1}" if end - begin > 1 else str(begin)
            name = f"{output.name} {output.dtype} {output.shape}" if begin == 0 else ""
            add_row(table, name, columns, low, high, words)
        if not output.columns:
            add_row(table, f"{output.name} {output.dtype} {output.shape}", "-", "-", "-", "empty")
    if not probe.moved:
        table.caption = Text("both pictures gave the same answer")
    return table


def _groups(output: Answered) -> Iterator[tuple[int, int, str, str, str]]:
    """Columns of one kind side by side: the first, the one after the last, their smallest and largest value, words."""
    kinds = [column.kind for column in output.columns]
    if output.form:
        words = {
            "xyxy": "corners (third beyond first, fourth beyond second)",
            "cxcywh": "no corners: centres and sides",
        }
        kinds[output.first : output.first + 4] = [f"{words[output.form]}, {output.unit}"] * 4
    for kind, group in groupby(range(len(kinds)), kinds.__getitem__):
        places = list(group)
        columns = [output.columns[place] for place in places]
        low, high = min(column.low for column in columns), max(column.high for column in columns)
        sums = output.sums_to_one and len(places) > 1 and kind.startswith("0 to 1")
        yield places[0], places[-1] + 1, f"{low:.4g}", f"{high:.4g}", kind + (", sum to one" if sums else "")


def shortened(text: str) -> str:
    """Its beginning, and how much more there is.

    Example:
        >>> shortened("a" * 200)[-20:]
        'aaaaaa ... (40 more)'
    """
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... ({len(text) - LONGEST} more)"
