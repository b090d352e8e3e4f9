"""Compiled loops are dropped with their sources; noise is what its formula says."""

from pathlib import Path

import numpy as np

from wildbench.parksim._kernels import COSINES, SINES, forget_stale_kernels, fractal_noise, turn, value_noise


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


def _reference_lattice(ix: int, iy: int, seed: int) -> float:
    """The hash in Python's whole numbers; numba's wrap at 64 bits, which the masks below 32 bits hide."""
    value = (ix * 374761393 + iy * 668265263 + seed * 1274126177) & 0xFFFFFFFF
    value = ((value ^ (value >> 13)) * 1274126177) & 0xFFFFFFFF
    return (value ^ (value >> 16)) / 4294967296.0


def test_noise_at_whole_coordinates_is_the_hash() -> None:
    for x, y, seed in ((0, 0, 1), (5, -3, 7), (-100000, 40000, 1 << 29)):
        assert value_noise(float(x), float(y), seed) == _reference_lattice(x, y, seed)


def test_noise_between_is_smooth_and_within_its_corners() -> None:
    corners = [_reference_lattice(x, y, 9) for x in (3, 4) for y in (2, 3)]
    assert value_noise(3.5, 2.5, 9) == np.mean(corners)
    inside = [value_noise(3.0 + t, 2.25, 9) for t in np.linspace(0.0, 1.0, 50)]
    assert min(corners) <= min(inside) <= max(inside) <= max(corners)
    assert np.abs(np.diff(inside)).max() < 0.05


def test_fractal_noise_keeps_shape_and_range_and_fills_it() -> None:
    x, y = np.mgrid[0:60:0.7, 0:60:0.7]
    values = fractal_noise(x, y, seed=4)
    assert values.shape == x.shape
    assert 0.0 <= values.min() < 0.2
    assert 0.8 < values.max() <= 1.0
    assert abs(values.mean() - 0.5) < 0.03


def test_other_seed_other_noise() -> None:
    x = np.linspace(0.0, 30.0, 400)
    one, other = fractal_noise(x, x, seed=1), fractal_noise(x, x, seed=2)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.4


def test_turns_lie_on_the_unit_circle() -> None:
    cosine, sine = turn(np.random.default_rng(0), 500)
    np.testing.assert_allclose(cosine**2 + sine**2, 1.0, atol=2e-6)
    np.testing.assert_allclose(np.arctan2(SINES, COSINES)[1], 2 * np.pi / 4096, atol=1e-6)
