"""Strokes, limbs and rocks."""

import numpy as np
import pytest

from wildbench.parksim.scenes._canvas import (
    HEIGHT,
    SCALE,
    STROKE_COLUMNS,
    WIDTH,
    Camera,
    Canvas,
    paint_limb,
    paint_rock,
    paint_strokes,
)


def stroke(x: float, y0: float, y1: float, distance: float, width: float = 1.0) -> np.ndarray:
    row = np.zeros((1, STROKE_COLUMNS))
    row[0, :9] = x, y0, x, 0.5 * (y0 + y1), x, y1, width, width, distance
    row[0, 10:13] = 0.2, 0.4, 0.6
    row[0, 15:17] = 1.0
    return row


def test_projection_is_a_pinhole() -> None:
    camera = Camera(height=1.5, focal=400.0, horizon=150.0)
    x, y = camera.project(np.array([0.0, 2.0]), np.array([1.5, 0.0]), np.array([7.0, 10.0]))
    assert (x[0], y[0]) == (SCALE * WIDTH / 2, SCALE * 150.0)  # at eye height: on the horizon
    assert x[1] == SCALE * (WIDTH / 2 + 400.0 * 2.0 / 10.0)
    assert y[1] == SCALE * camera.row(10.0)


def test_upright_stroke_covers_its_column_and_nothing_else() -> None:
    canvas = Canvas.empty()
    paint_strokes(canvas, stroke(100.5, 300.5, 200.5, 5.0))
    rows, columns = np.nonzero(np.isfinite(canvas.front))
    assert set(columns) == {100}
    assert set(rows) == set(range(200, 301))
    np.testing.assert_allclose(canvas.albedo[250, 100], (0.2, 0.4, 0.6), rtol=1e-6)


def test_nearer_things_stay_in_front_whatever_comes_first() -> None:
    for distances in ((4.0, 9.0), (9.0, 4.0)):
        canvas = Canvas.empty()
        for distance in distances:
            paint_strokes(canvas, stroke(100.5, 300.5, 200.5, distance))
        assert canvas.front[250, 100] == 4.0


def test_strokes_that_are_not_solid_hide_nothing() -> None:
    canvas = Canvas.empty()
    paint_strokes(canvas, stroke(100.5, 300.5, 200.5, 5.0), solid=False)
    assert np.isinf(canvas.front).all()
    assert canvas.depth[250, 100] == 5.0


def test_strokes_outside_the_canvas_are_cut() -> None:
    canvas = Canvas.empty()
    paint_strokes(canvas, stroke(-3.0, 300.5, 200.5, 5.0, width=2.0))
    paint_strokes(canvas, stroke(50.5, 2.0 * HEIGHT * SCALE, HEIGHT * SCALE - 10.0, 5.0))
    rows, columns = np.nonzero(np.isfinite(canvas.front))
    assert set(columns) == {50}
    assert rows.max() == HEIGHT * SCALE - 1


def test_limb_is_about_as_thick_as_said() -> None:
    canvas = Canvas.empty()
    paint_limb(canvas, (300.0, 600.0, 20.0, 300.0, 200.0, 20.0), 6.0, (0.2, 0.15, 0.1), seed=3)
    across = np.isfinite(canvas.front[250:550]).sum(axis=1)
    assert 0.85 * 40 <= across.min() <= across.max() <= 1.15 * 40
    assert canvas.front[400, 300] == 6.0


@pytest.mark.parametrize("tall", [0.0, 1.0])
def test_rock_stands_on_its_base(tall: float) -> None:
    canvas = Canvas.empty()
    paint_rock(canvas, (400.0, 500.0, 60.0, 80.0), 8.0, (0.3, 0.3, 0.3), seed=5, tall=tall)
    rows, columns = np.nonzero(np.isfinite(canvas.front))
    assert rows.min() > 500 - 1.31 * 80
    assert 495 <= rows.max() <= 511
    assert abs(columns.mean() - 400) < 15
