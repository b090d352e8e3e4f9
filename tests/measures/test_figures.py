"""Figures that boards show: a package adds one without touching wildbench."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from made_up_cards import make_card

import wildbench
from wildbench import plugins
from wildbench.errors import PluginError
from wildbench.measures import Evidence, Measure, all_measures, figure_of
from wildbench.scorecard import Figure, read_scorecard


class Energy(Measure):
    """A made-up number from the MACs."""

    key, title, unit, better, limits = "energy", "energy", "mJ", "lower", (1e-3, 1e6)

    def measure(self, evidence: Evidence) -> Figure:
        compute = evidence.card.compute
        if compute is None or compute.macs.value is None:
            return Figure.undefined(self.unit, "nothing was counted", len(evidence.scored.detections))
        return Figure(value=4.6e-9 * compute.macs.value, unit=self.unit, n=compute.macs.n)


def install(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    points = [EntryPoint(key, f"{__name__}:Energy", "wildbench.measures")]
    monkeypatch.setitem(plugins.measures.__dict__, "_installed", {key: points})
    monkeypatch.setitem(plugins.measures._resolved, key, Energy)
    monkeypatch.setattr(plugins.measures, "_resolved", dict(plugins.measures._resolved))


def test_every_figure_is_read_from_a_card() -> None:
    card = make_card(ap=0.5, file_bytes=1000)
    assert [measure.key for measure in all_measures()][:3] == ["ap", "ap50", "ap75"]
    figures = {measure.key: measure.read(card) for measure in all_measures()}
    assert figures["file_bytes"] == card.size.file_bytes if card.size else False
    assert all(figure is not None for figure in figures.values())
    assert {measure.key for measure in all_measures() if measure.limits} == {
        "file_bytes", "macs", "latency_ratio", "latency",
    }  # fmt: skip
    bare = card.model_copy(update={"size": None, "compute": None, "latency": None, "field": None})
    assert figure_of(bare, "macs") is None
    with pytest.raises(PluginError) as error:
        figure_of(card, "mac")
    assert error.value.code == "plugin/unknown"


def test_a_package_s_measure_is_in_the_scorecard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "energy")
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 40, 40], "area": 1600, "iscrowd": 0}
    image = {"id": 1, "file_name": "a.jpg", "width": 90, "height": 90}
    coco = {"images": [image], "categories": [{"id": 1, "name": "lion"}], "annotations": [box]}
    (tmp_path / "herd.json").write_text(json.dumps(coco))
    results = [{"image_id": 1, "category_id": 1, "bbox": [9, 9, 40, 40], "score": 0.5}]
    (tmp_path / "a.json").write_text(json.dumps(results))
    card = wildbench.score(tmp_path / "a.json", dataset=tmp_path / "herd.json", out=tmp_path / "card.json")
    assert card.measures == {"energy": Figure.undefined("mJ", "nothing was counted", 1)}
    assert figure_of(read_scorecard(tmp_path / "card.json"), "energy") == card.measures["energy"]
    assert all_measures()[-1].key == "energy"


def test_a_measure_is_registered_by_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "power")
    with pytest.raises(PluginError) as error:
        all_measures()
    assert error.value.code == "plugin/wrong-key"
