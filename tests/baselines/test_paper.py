"""`wildbench baseline paper`: both tables, whether our own sweeps were run or not."""

import io

from rich.console import Console

from studies.papers.tables import paper_tables


def test_both_papers_are_printed_with_what_is_known_of_them() -> None:
    console = Console(width=140, file=io.StringIO())
    for table in paper_tables(quick=True):
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    text = " ".join(console.file.getvalue().split())
    assert "51.3" in text
    assert text.count("87.97") == 2, "the ROI head's row repeats the backbone's"
    assert "The paper's figure shows other values" in text
    assert "compression ratio, reported" in text
    assert text.count("AP50, wildlife_real/val") == 3
    assert text.count("AP50 in %, wildlife_real/val") == 4
