"""The charts' library: whole, closed, and bundled once."""

from pathlib import Path

import pytest

from wildbench.leaderboard import vega


def test_the_script_can_stand_in_a_page() -> None:
    script = vega.vega_script()
    assert "window.vegaEmbed" in script
    assert "</script" not in script
    assert "<!--" not in script
    assert vega.VEGA_LITE in vega.versions()


@pytest.mark.slow
def test_bundling_again_gives_the_same_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = vega.vega_script()
    monkeypatch.setenv("WILDBENCH_CACHE", str(tmp_path))
    assert vega.vega_script() == kept
    assert len(list(tmp_path.iterdir())) == 1
