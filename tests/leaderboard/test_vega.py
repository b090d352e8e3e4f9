"""The charts' library: whole, closed, and bundled once."""

from pathlib import Path

import pytest

from wildbench.leaderboard.page import _vega


def test_the_script_can_stand_in_a_page() -> None:
    script = _vega.vega_script()
    assert "window.vegaEmbed" in script
    assert "</script" not in script
    assert "<!--" not in script
    assert _vega.VEGA_LITE in _vega.versions()


@pytest.mark.slow
def test_bundling_again_gives_the_same_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _vega.vega_script()
    monkeypatch.setenv("WILDBENCH_CACHE", str(tmp_path))
    assert _vega.vega_script() == kept
    assert len(list(tmp_path.iterdir())) == 1
