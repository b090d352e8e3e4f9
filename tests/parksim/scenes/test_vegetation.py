"""Plants stand where they should and are as large as said."""

import numpy as np

from wildbench.parksim.scenes._canvas import SCALE, WIDTH, Camera, Canvas
from wildbench.parksim.scenes._ground import River
from wildbench.parksim.scenes._vegetation import Foliage, Spot, acacia, bush, grass, palm

CAMERA = Camera(height=1.5, focal=420.0, horizon=150.0)
GREEN = ((0.1, 0.15, 0.04),)


def rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(5))


def extent(canvas: Canvas) -> tuple[float, float, float, float]:
    """Left, right, bottom, top in metres at 20 m, from the middle and the ground."""
    rows, columns = np.nonzero(np.isfinite(canvas.front))
    metre = SCALE * CAMERA.focal / 20.0
    ground = SCALE * CAMERA.row(20.0)
    left, right = (columns.min() - SCALE * WIDTH / 2) / metre, (columns.max() - SCALE * WIDTH / 2) / metre
    return left, right, (ground - rows.max()) / metre, (ground - rows.min()) / metre


def test_bush_is_as_tall_as_said_and_stands_where_said() -> None:
    canvas = Canvas.empty()
    bush(rng(), canvas, CAMERA, Spot(1.0, 20.0), 2.0, Foliage(GREEN))
    left, right, bottom, top = extent(canvas)
    assert 1.6 < top < 2.5
    assert -0.7 < bottom < 0.6
    assert abs(0.5 * (left + right) - 1.0) < 0.5


def test_acacia_is_flat_and_wider_than_its_trunk() -> None:
    canvas = Canvas.empty()
    acacia(rng(), canvas, CAMERA, Spot(0.0, 20.0), 6.0, Foliage(GREEN), (0.2, 0.1, 0.1))
    left, right, _, top = extent(canvas)
    assert 5.0 < top < 7.2
    crown = right - left
    trunk_row = int(SCALE * CAMERA.row(20.0) - 1.0 * SCALE * CAMERA.focal / 20.0)
    trunk = np.isfinite(canvas.front[trunk_row]).sum() / (SCALE * CAMERA.focal / 20.0)
    assert trunk < 1.0 < 4.0 < crown


def test_palm_bears_its_crown_at_the_top() -> None:
    canvas = Canvas.empty()
    palm(rng(), canvas, CAMERA, Spot(0.0, 20.0), 6.0, Foliage(GREEN), (0.3, 0.2, 0.1))
    widths = np.isfinite(canvas.front).sum(axis=1)
    rows = np.flatnonzero(widths)
    upper, lower = np.array_split(widths[rows], 2)
    assert upper.max() > 5 * np.median(lower)


def test_grass_grows_from_the_ground_and_never_in_water() -> None:
    river = River(near=6.0, far=12.0, wind=0.5, slant=0.0, seed=1)
    canvas = Canvas.empty()
    grass(rng(), canvas, CAMERA, count=20000, tall=0.05, colours=GREEN, patches=0.2, river=river)
    distances = np.unique(canvas.front[np.isfinite(canvas.front)])
    assert distances.min() < 3.0
    assert not ((distances > 7.0) & (distances < 11.0)).any()


def test_patches_leave_more_bare_ground() -> None:
    covered = []
    for patches in (0.3, 0.6):
        canvas = Canvas.empty()
        grass(rng(), canvas, CAMERA, count=20000, tall=0.1, colours=GREEN, patches=patches)
        covered.append(np.isfinite(canvas.front).mean())
    assert covered[0] > 2 * covered[1] > 0
