"""No false alarm: what people really submit is neither refused nor marked."""

from pathlib import Path

import pytest
from arena import forked
from honest_files import HONEST

import wildbench
from wildbench.scorecard import contradictions, read_scorecard

PARKSIM = {"reference", "reference-tiny"}
"""Detectors of parksim's categories; the others know lions and zebras."""


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.slow
def test_an_honest_file_is_measured_without_a_mark(name: str, tmp_path: Path, dense: Path, park: Path) -> None:
    def act() -> list[object]:
        path = HONEST[name](tmp_path, dense, park)
        script = tmp_path / "adapter.py"
        card = wildbench.evaluate(
            path, dataset=park, device="cpu", adapter=script if script.exists() else None, out=tmp_path / "card.json"
        )
        assert card.size
        assert card.latency
        failed = [f"{audit.name}: {audit.explanation}" for audit in card.audits if audit.failed]
        wrong = list(contradictions(read_scorecard(tmp_path / "card.json")))
        return [failed, card.size.file_bytes.value, card.latency.p50.value, wrong]

    end = forked(act, seconds=120)
    assert end.kind == "ended", end
    failed, size, milliseconds, wrong = end.value
    assert not failed
    assert not wrong
    assert size
    assert milliseconds


@pytest.mark.slow
def test_files_of_others_are_not_marked(shared_weights: Path, tmp_path: Path, park: Path) -> None:
    """The real YOLOX-Nano, in three formats, is admitted and runs."""
    from arena import command

    for path in sorted(shared_weights.iterdir()):
        if path.suffix in (".onnx", ".tflite"):
            end = forked(lambda path=path: command("inspect", str(path)), seconds=120)  # type: ignore[misc]
            assert end.kind == "ended", end
