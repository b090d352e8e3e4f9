"""The page of a small board: the same bytes in another process and place, and the data that was kept."""

import os
import subprocess
import sys
from pathlib import Path

import made_up_golden
from made_up_golden import data_of, golden_page

GOLDEN = Path(__file__).with_name("golden") / "page_data.json"


def test_another_process_in_another_place_writes_the_same_bytes(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    script = Path(made_up_golden.__file__)
    paths = os.pathsep.join([str(script.parents[1]), str(script.parent), str(script.parents[2])])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, script, there / "page.html"], check=True, cwd=there, env=environment)
    assert (there / "page.html").read_bytes() == golden_page(here)


def test_the_page_embeds_what_was_kept(tmp_path: Path) -> None:
    assert data_of(golden_page(tmp_path)) == GOLDEN.read_text(encoding="utf-8")
