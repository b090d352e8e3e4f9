"""How many altered copies the duplicate check finds, and the command that counts them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from made_up_photographs import photograph, save
from PIL import Image
from typer.testing import CliRunner

from studies.duplicates import __main__ as command
from studies.duplicates.alterations import ALTERATIONS
from studies.duplicates.recall import Recall, audit_duplicates
from wildbench.datasets.coco import Dataset

COUNT = 6


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("originals")
    images = [
        {
            "id": number,
            "file_name": save(photograph(number), folder / f"{number}.jpg").name,
            "width": 320,
            "height": 240,
        }
        for number in range(COUNT)
    ]
    coco = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "zebra"}]}
    (folder / "all.json").write_text(json.dumps(coco))
    return Dataset("made up", None, coco, folder)


def test_it_counts_what_is_paired_and_what_is_wrong(originals: Dataset) -> None:
    pixels = [np.asarray(Image.open(originals.image_path(image))) for image in originals.images]
    next_one = {one.tobytes(): pixels[(number + 1) % COUNT] for number, one in enumerate(pixels)}
    recalls = audit_duplicates(
        originals,
        {
            "unchanged": lambda pixels, generator: pixels,
            "another photograph": lambda pixels, generator: photograph(int(generator.integers(1000, 2000))),
            "the next photograph": lambda pixels, generator: next_one[pixels.tobytes()],
        },
    )
    assert recalls == [
        Recall("unchanged", COUNT, COUNT, COUNT, 0),
        Recall("another photograph", COUNT, 0, 0, 0),
        Recall("the next photograph", COUNT, 0, 0, COUNT),
    ]


def test_the_command_prints_the_table_and_fails_on_a_wrong_pair(
    originals: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [str(originals.images_dir / "all.json"), "--limit", "3"]
    some = {name: ALTERATIONS[name] for name in ("mirrored", "grey")}
    monkeypatch.setattr(command, "audit_duplicates", lambda data, progress: audit_duplicates(data, some))
    result = CliRunner().invoke(command.app, arguments)
    assert result.exit_code == 0, result.output
    assert re.search(r"mirrored\D+3\D+3\D+100\D+3\D+0", result.output)
    monkeypatch.setattr(command, "audit_duplicates", lambda data, progress: [Recall("grey", 3, 3, 3, 1)])
    assert CliRunner().invoke(command.app, arguments).exit_code == 1


def test_the_document_has_a_row_for_each_alteration() -> None:
    document = Path(__file__).parents[2] / "docs" / "leaks.md"
    rows = re.findall(r"^\| ([^|]+) \|(?: \d+ \|){6}$", document.read_text(encoding="utf-8"), re.M)
    assert rows == list(ALTERATIONS)
