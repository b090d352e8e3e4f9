"""A small board whose page is kept: `python made_up_golden.py FILE` writes the page, with `tests` on the path."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from made_up_results import make_named

from wildbench.leaderboard._board import build_board
from wildbench.leaderboard._results import Curves, Result
from wildbench.leaderboard.build import page_of_results
from wildbench.scorecard import LayerBytes


def golden_results(folder: Path) -> list[Result]:
    """A dense row, a compressed one with layers, one on another processor, one without a model, and a claimed one."""
    dense = make_named("dense", 0.5, sha256="1" * 64)
    small = make_named("small", 0.47, seed=1, sha256="2" * 64, parent="1" * 64, file_bytes=400, macs=5e8, p50=12.0)
    away = make_named("away", 0.48, seed=2, sha256="3" * 64, parent="2" * 64, file_bytes=700, cpu="another")
    bare = make_named("bare", None, seed=3, sha256="4" * 64)
    assert small.card.size
    layers = [
        LayerBytes(layer=name, bytes=stored) for name, stored in (("stem", 150), ("head", 200), ("container", 50))
    ]
    size = small.card.size.model_copy(update={"by_layer": layers})
    curves = Curves(by_iou={"0.50": [1000] * 60 + [500] * 20}, per_category={"lion": [1000] * 80})
    (folder / "curves.json").write_bytes(curves.to_bytes())
    nothing = {"size": None, "compute": None, "latency": None}
    cards = [dense.card, small.card.model_copy(update={"size": size}), away.card, bare.card.model_copy(update=nothing)]
    results = zip((dense, small, away, bare), cards, strict=True)
    measured = [
        replace(one, card=card, predictions=folder / ("." if one is small else one.id) / "predictions.json.xz")
        for one, card in results
    ]
    claimed = make_named("claimed", 0.9, seed=4, sha256="5" * 64, parent="1" * 64, p50=0.5)
    return [*measured, replace(claimed, reproduction=None, predictions=folder / "claimed" / "predictions.json.xz")]


def golden_page(folder: Path) -> bytes:
    """The page of these rows.

    Args:
        folder: Gets the file of curves.
    """
    results = golden_results(folder)
    return page_of_results(build_board(results), results)


def data_of(page: bytes) -> str:
    """What the page embeds, laid out to be read and compared."""
    embedded = page.decode().split('id="data">')[1].split("</script>")[0]
    return json.dumps(json.loads(embedded), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.write_bytes(golden_page(place.parent))
