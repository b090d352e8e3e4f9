"""What typical mistakes are answered with: one golden file holds the prose, `golden/messages.txt`.

`WILDBENCH_REWRITE=1 pytest tests/cli/test_messages.py` writes it anew; read the difference before committing it.
"""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from commands import Run
from made_up_findings import FOUND, LABELS, folder_of_findings
from PIL import Image

from wildbench.resources import bundled

GOLDEN = Path(__file__).parent / "golden" / "messages.txt"

MISTAKES = """
evaluate none.pt
evaluate text.pt
evaluate folder.pt
evaluate none.zip
evaluate REFERENCE --dataset serengeti
evaluate REFERENCE --split tset
evaluate REFERENCE --dataset herd.json --device tpu
evaluate REFERENCE --dataset cars.json
score none.json --dataset herd.json
score text.json --dataset herd.json
score herd.json --dataset herd.json
score percent.json --dataset herd.json
score honest.json --dataset parksim --split tset
score honest.json --dataset parksmi
score honest.json --dataset none/herd.json
score honest.json --dataset text.json
score honest.json --dataset empty.json
score stranger.json --dataset herd.json
score twice.json --dataset herd.json
score honest.json --dataset herd.json --out folder.pt
score honest.json --dataset herd.json --out text.pt/card.json
inspect none.onnx
inspect text.pt
compare none.json none.json
compare text.json text.json
compare herd.json herd.json
compare newer.json newer.json
agree none.pt none.pt
explain none.pt none.pt --images none
gate none.json --against none.json
gate none.json --against none.json --max-loss ap5=1
gate none.json --against none.json --max-bytes 4parsec
train none.toml -o x.pt
train text.toml -o x.pt
train RECIPE -o x.onnx
baseline run none --from REFERENCE -o x.pt
baseline run unstructured --from none.pt -o x.pt
baseline run unstructured --from REFERENCE -o x.pt --set rate=0.4
baseline run unstructured --from REFERENCE -o x.pt --set ratio
baseline run unstructured --from REFERENCE -o x.pt --set ratio=2
baseline sweep none -o out
data info serengeti
data generate serengeti
data fetch serengeti
data fetch parks --url ftp://x/parks.zip
data import none --out x
data import folder.pt --out x
data export herd.json --to csv -o x
data export serengeti --to voc -o x
data validate none.json
data validate text.json
data split herd.json -o text.json
data leaks herd.json
data patch herd.json herd.json -o x.json
data patch herd.json none.json -o x.json
leaderboard add none.json
leaderboard check text.json
leaderboard export --to csv
leaderboard open
review --dataset herd.json --apply
""".strip().splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files that nobody can use."""
    (tmp_path / "folder.pt").mkdir()
    for name in ("text.pt", "text.json", "text.toml"):
        (tmp_path / name).write_text("not what it says")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    documents: dict[str, Any] = {
        "cars": LABELS | {"categories": [{"id": 1, "name": "car"}]},
        "empty": LABELS | {"annotations": [], "images": []},
        "newer": json.loads(bundled("baselines/scorecards/reference.json").read_text()) | {"format_version": 99},
        "stranger": [FOUND[0] | {"category_id": 99}],
        "twice": [FOUND[0] | {"image_id": 99}],
    }
    for image in LABELS["images"]:
        Image.new("RGB", (image["width"], image["height"])).save(tmp_path / image["file_name"])
    for name, document in documents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    return folder_of_findings(tmp_path)


def test_the_golden_file_says_what_mistakes_are_answered_with(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WILDBENCH_CACHE", str(folder / "cache"))
    places = {"REFERENCE": str(bundled("baselines/reference.pt")), "RECIPE": str(bundled("baselines/reference.toml"))}
    places |= {"BASELINES": str(bundled("baselines")), "HERE": str(folder)}
    said = []
    for line in MISTAKES:
        result = run(*(places.get(word, word) for word in line.split()))
        assert result.status == 2, f"{line}: {result.stdout}"
        assert "Traceback" not in result.stderr, line
        answer = result.stderr.splitlines()[-1] if result.stderr else "(a table)"
        for place, path in places.items():
            answer = answer.replace(path, place)
        said.append(f"$ wildbench {line}\n{answer}\n")
    text = "\n".join(said)
    if os.environ.get("WILDBENCH_REWRITE"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
