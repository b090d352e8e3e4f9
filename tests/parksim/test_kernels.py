from pathlib import Path

from wildbench.parksim._kernels import forget_stale_kernels


def test_compiled_kernels_are_dropped_when_any_source_changes(tmp_path: Path) -> None:
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    (tmp_path / "distance.py").write_text("K = 1\n")
    assert forget_stale_kernels(tmp_path)
    (cache / "light.shade-7.nbi").write_bytes(b"compiled")
    assert not forget_stale_kernels(tmp_path)
    assert (cache / "light.shade-7.nbi").exists()
    (tmp_path / "distance.py").write_text("K = 2\n")
    assert forget_stale_kernels(tmp_path)
    assert not (cache / "light.shade-7.nbi").exists()
