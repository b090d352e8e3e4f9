import re
from pathlib import Path

from wildbench.curation.named_predictions import NamedPredictions, read_named
from wildbench.curation.questions import answer, comparisons
from wildbench.datasets.registry import load_dataset
from wildbench.resources import bundled

DOCUMENT = Path(__file__).parents[2] / "docs" / "review.md"


def test_the_documents_table_adds_up_and_its_dense_detector_is_the_bundled_one() -> None:
    """What the compressed one finds takes minutes: `python docs/pictures/make_review.py` measures it."""
    written = DOCUMENT.read_text(encoding="utf-8").partition("<!-- review prints -->")[2].partition("<!-- end -->")[0]
    rows = {part: tuple(map(int, counts.split("│"))) for part, counts in re.findall(r"│ (\w+) +│(.*)│", written)}
    data = load_dataset("parksim", with_images=False)
    (dense,) = read_named([bundled("baselines/scorecards/reference.json")], data)
    nothing = NamedPredictions("nothing", "nothing", [])
    (comparison,) = comparisons(data, [dense, nothing], answer(data, [dense, nothing]))
    assert {part: counts[:2] for part, counts in rows.items()} == {
        row.part: (row.boxes, row.dense) for row in comparison.rows
    }
    assert all(found == dense - forgotten + gained for _, dense, found, forgotten, gained in rows.values())
    for parts in (data.category_names, ("small", "medium", "large")):
        assert tuple(map(sum, zip(*(rows[part] for part in parts), strict=True))) == rows["all"]
