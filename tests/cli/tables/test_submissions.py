"""What `wildbench inspect` prints: figures that add up."""

from dataclasses import replace

import pytest
import torch
from rich.table import Table

from wildbench.cli.tables import inspection_tables
from wildbench.detectors.zoo import _zoo
from wildbench.submissions.archive._archive import save_submission
from wildbench.submissions.inspection import Inspection, inspect_submission

NAME = "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def inspection(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    """A detector of which half the weights are zero, in 8 bits."""
    torch.manual_seed(0)
    state = dict(_zoo.build(NAME, 2).state_dict())
    for name, values in state.items():
        if values.dim() == 4:
            state[name] = values * (values.abs() > values.abs().median())
    path = tmp_path_factory.mktemp("inspection") / "a.pt"
    codec = "int8+sparse+huffman,fp16"
    save_submission(state, path, detector=NAME, categories=["zebra", "lion"], codec=codec)
    return inspect_submission(path)


def rows(table: Table) -> list[list[str]]:
    """The cells, row by row."""
    return [list(row) for row in zip(*([str(cell) for cell in column.cells] for column in table.columns), strict=True)]


def number(text: str) -> float:
    return float(text.replace(",", "").removesuffix(" x"))


def test_parts_and_codecs_add_up_to_the_file(inspection: Inspection) -> None:
    _, parts, costs, codecs, tensors = inspection_tables(inspection)
    sizes = {row[0]: number(row[1]) for row in rows(parts)}
    assert sum(sizes.values()) == inspection.file_bytes == inspection.path.stat().st_size
    bookkeeping = sizes["manifest"] + sizes["index"] + sizes["container"]
    by_codec = {row[0]: row[1:] for row in rows(codecs)}
    assert {"int8+sparse+huffman", "fp16", "raw"} <= by_codec.keys()
    assert sum(number(row[2]) for row in by_codec.values()) == inspection.file_bytes - bookkeeping
    found = inspection.tensors or []
    assert sum(number(row[0]) for row in by_codec.values()) == len(found)
    assert sum(number(row[1]) for row in by_codec.values()) == sum(tensor.elements for tensor in found)
    assert tensors.columns[-1].footer == f"{inspection.file_bytes - bookkeeping:,.0f}"
    assert rows(costs)[-1][1] == f"{inspection.file_bytes:,}"


def test_the_file_stands_beside_each_rule(inspection: Inspection) -> None:
    costs = {row[0]: row[1:] for row in rows(inspection_tables(inspection)[2])}
    assert inspection.parameters is not None
    assert inspection.nonzero is not None
    dense, nonzero, bitmask, entropy, file = (number(row[0]) for row in costs.values())
    assert (dense, nonzero) == (4 * inspection.parameters, 4 * inspection.nonzero)
    assert entropy < file < bitmask < nonzero < dense
    for cost, ratio in costs.values():
        assert number(ratio) == pytest.approx(inspection.file_bytes / number(cost), abs=6e-4)


def test_the_largest_tensors_come_first_with_their_costs(inspection: Inspection) -> None:
    table = rows(inspection_tables(inspection, most=5)[4])
    by_name = {tensor.name: tensor for tensor in inspection.tensors or []}
    names = [row[0].partition("\n")[0] for row in table]
    assert names == sorted(by_name, key=lambda name: (-by_name[name].bytes, name))[:5]
    for title, nonzero, fp32, bitmask, entropy, size in table:
        name, _, form = title.partition("\n")
        tensor = by_name[name]
        assert form == f"{'x'.join(map(str, tensor.shape))} float32 int8+sparse+huffman"
        assert (number(nonzero), number(size)) == (tensor.nonzero, tensor.bytes)
        assert number(fp32) == 4 * tensor.elements
        rule = (
            tensor.elements / 8 + number(nonzero) + 5 * tensor.shape[0]
        )  # 8 bits, and a scale and zero point a channel
        assert number(bitmask) == pytest.approx(rule, abs=0.51)
        assert number(entropy) == pytest.approx(tensor.entropy_bytes, abs=0.51)


def test_what_the_file_is_not_is_noted(inspection: Inspection) -> None:
    assert "note" not in {row[0] for row in rows(inspection_tables(inspection)[0])}
    floats = [replace(tensor, dtype="float32", stored_bits=32) for tensor in inspection.tensors or ()]
    called = replace(inspection, path=inspection.path.with_name("a_int8.pt"), tensors=floats)
    (note,) = [row[1] for row in rows(inspection_tables(called)[0]) if row[0] == "note"]
    assert note.startswith("warning not-quantized: ")
