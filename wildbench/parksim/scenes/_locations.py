"""The twenty camera locations: eight in savanna, seven at a river, five in forest, each with its own background."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from wildbench.parksim.scenes import _vegetation as plants
from wildbench.parksim.scenes._canvas import SCALE, WIDTH, Camera, Canvas, Colour, paint_limb, paint_rock
from wildbench.parksim.scenes._ground import River, Soil, flood, paint_ground, paint_ridge
from wildbench.parksim.scenes._vegetation import Foliage, Rng, Spot

STRAW: tuple[Colour, ...] = ((0.42, 0.31, 0.13), (0.33, 0.25, 0.11), (0.5, 0.39, 0.19))
GREEN: tuple[Colour, ...] = ((0.13, 0.17, 0.045), (0.09, 0.13, 0.03), (0.2, 0.23, 0.07))
OLIVE: tuple[Colour, ...] = ((0.22, 0.2, 0.08), (0.14, 0.15, 0.055), (0.3, 0.26, 0.12))
THORN: tuple[Colour, ...] = ((0.1, 0.13, 0.04), (0.07, 0.095, 0.03), (0.16, 0.17, 0.06))
JUNGLE: tuple[Colour, ...] = ((0.05, 0.1, 0.025), (0.075, 0.14, 0.03), (0.035, 0.065, 0.02), (0.12, 0.18, 0.05))
BARK: Colour = (0.15, 0.11, 0.075)
PALE_BARK: Colour = (0.28, 0.24, 0.18)
GREY_BARK: Colour = (0.19, 0.17, 0.14)
OCHRE = Soil((0.4, 0.25, 0.13), (0.27, 0.16, 0.085), (0.3, 0.24, 0.1), cover=0.5)
RED = Soil((0.4, 0.17, 0.08), (0.27, 0.11, 0.055), (0.27, 0.2, 0.09), cover=0.42)
SAND = Soil((0.5, 0.39, 0.25), (0.36, 0.27, 0.17), (0.32, 0.27, 0.13), cover=0.35)
CLAY = Soil((0.31, 0.25, 0.19), (0.2, 0.16, 0.12), (0.21, 0.2, 0.09), cover=0.45)
MEADOW = Soil((0.25, 0.19, 0.1), (0.16, 0.12, 0.065), (0.15, 0.18, 0.06), cover=0.75)
LITTER = Soil((0.15, 0.1, 0.06), (0.085, 0.06, 0.035), (0.09, 0.095, 0.035), cover=0.4, litter=0.75)
MOSS = Soil((0.11, 0.085, 0.05), (0.06, 0.05, 0.03), (0.07, 0.1, 0.03), cover=0.62, litter=0.5)


@dataclass(frozen=True)
class Location:
    """One camera, 1 to 20: where it hangs, and what stands in front of it."""

    number: int
    habitat: str
    """One of "savanna", "river" and "forest"."""
    split: str
    camera: Camera
    soil: Soil
    grass: tuple[float, float, tuple[Colour, ...]]
    """Height in metres, patchiness (see `vegetation.grass`), colours."""
    trees: tuple[int, str]
    """Number and kind ("acacia", "broadleaf", "palm")."""
    bushes: int
    rocks: int = 0
    """Number of boulders; `mounds`, of termite mounds."""
    mounds: int = 0
    ridges: tuple[float, ...] = ()
    """Pixel heights of the mountain ranges, far to near."""
    river: River | None = None

    @property
    def farthest(self) -> float:
        """How far away, in metres, an animal can still be seen."""
        return 24.0 if self.habitat == "forest" else 120.0

    def dry(self, x: float, z: float) -> bool:
        """Whether the point is not under water."""
        return self.river is None or not bool(self.river.holds(np.array([x]), np.array([z]))[0])


@dataclass(frozen=True)
class Scene:
    """A painted location: its canvas and the trees that cast shadows (x, z, crown height, crown radius in metres)."""

    location: Location
    canvas: Canvas
    crowns: NDArray[np.float64]


_S, _R, _F = "savanna", "river", "forest"
LOCATIONS: tuple[Location, ...] = (
    Location(1, _S, "train", Camera(1.3, 430, 168), OCHRE, (0.3, 0.45, STRAW), (5, "acacia"), 7, 3, 1, (46, 26)),
    Location(2, _S, "train", Camera(2.4, 470, 128), RED, (0.22, 0.56, STRAW), (4, "acacia"), 10, 5, 2, (60,)),
    Location(3, _S, "train", Camera(1.0, 400, 186), MEADOW, (0.42, 0.42, OLIVE), (6, "acacia"), 5, 0, 0, (30, 18)),
    Location(4, _S, "train", Camera(3.4, 520, 96), SAND, (0.26, 0.55, STRAW), (7, "acacia"), 14, 4, 1, (38, 30)),
    Location(5, _S, "train", Camera(1.6, 450, 150), MEADOW, (0.3, 0.4, GREEN), (3, "broadleaf"), 8, 2, 1, (80, 44)),
    Location(6, _R, "train", Camera(1.8, 440, 140), CLAY, (0.3, 0.55, OLIVE), (5, "broadleaf"), 9, 4, 0, (30,),
             River(9.0, 24.0, 2.0, 0.10, 61)),
    Location(7, _R, "train", Camera(1.2, 420, 160), SAND, (0.35, 0.55, GREEN), (6, "palm"), 8, 3, 0, (),
             River(6.5, 15.0, 1.2, -0.12, 71)),
    Location(8, _R, "train", Camera(2.8, 480, 112), MEADOW, (0.3, 0.5, GREEN), (4, "acacia"), 8, 6, 0, (52, 26),
             River(17.0, 44.0, 4.0, 0.2, 81)),
    Location(9, _R, "train", Camera(1.5, 430, 146), OCHRE, (0.4, 0.55, STRAW), (5, "acacia"), 7, 5, 1, (24,),
             River(8.0, 14.0, 1.5, 0.0, 91)),
    Location(10, _F, "train", Camera(1.1, 400, 150), LITTER, (0.25, 0.62, GREEN), (13, "broadleaf"), 12, 2),
    Location(11, _F, "train", Camera(1.4, 420, 138), MOSS, (0.3, 0.58, GREEN), (16, "broadleaf"), 16, 3),
    Location(12, _F, "train", Camera(0.9, 390, 168), LITTER, (0.3, 0.66, OLIVE), (10, "broadleaf"), 9, 4),
    Location(13, _S, "val", Camera(1.5, 440, 152), OCHRE, (0.28, 0.48, OLIVE), (5, "acacia"), 9, 4, 1, (56, 24)),
    Location(14, _R, "val", Camera(1.7, 440, 142), SAND, (0.3, 0.55, GREEN), (5, "broadleaf"), 8, 4, 0, (34,),
             River(8.5, 22.0, 2.0, -0.1, 141)),
    Location(15, _F, "val", Camera(1.2, 410, 148), MOSS, (0.26, 0.6, GREEN), (12, "broadleaf"), 11, 2),
    Location(16, _S, "test", Camera(1.4, 440, 160), OCHRE, (0.34, 0.47, STRAW), (6, "acacia"), 8, 3, 1, (40, 28)),
    Location(17, _S, "test", Camera(2.2, 460, 132), MEADOW, (0.27, 0.48, OLIVE), (4, "acacia"), 11, 5, 2, (66,)),
    Location(18, _R, "test", Camera(1.5, 430, 150), CLAY, (0.32, 0.55, OLIVE), (5, "broadleaf"), 8, 3, 0, (28,),
             River(7.5, 19.0, 1.6, 0.14, 181)),
    Location(19, _R, "test", Camera(2.3, 460, 122), SAND, (0.3, 0.54, STRAW), (4, "palm"), 9, 6, 0, (44, 22),
             River(13.0, 30.0, 3.0, -0.16, 191)),
    Location(20, _F, "test", Camera(1.2, 405, 146), LITTER, (0.28, 0.61, GREEN), (13, "broadleaf"), 13, 3),
)  # fmt: skip


def _spot(rng: Rng, camera: Camera, near: float, far: float, *, aside: float) -> Spot:
    """A random place in view; `aside` 0..1 keeps near ones that much out of the middle of the picture."""
    share = float(rng.random())
    z = near * far / (near + (far - near) * (1.0 - share))
    side = 1.0 if float(rng.random()) < 0.5 else -1.0
    offset = aside + (1.08 - aside) * float(rng.random())
    return Spot(side * offset * 0.5 * WIDTH * z / camera.focal, z)


def _far_woods(rng: Rng, canvas: Canvas, place: Location) -> None:
    """A line of trees far away, closed in forest, open elsewhere."""
    camera = place.camera
    forest = place.habitat == "forest"
    colours = JUNGLE if forest else THORN
    for index in range(46 if forest else 34):
        z = (26.0 + 30.0 * float(rng.random())) if forest else (130.0 + 240.0 * float(rng.random()))
        x = (float(rng.random()) - 0.5) * 1.15 * WIDTH * z / camera.focal
        tall = (7.0 + 7.0 * float(rng.random())) if forest else (2.5 + 4.5 * float(rng.random()))
        radius = np.array([tall * (0.7 + 0.5 * float(rng.random())), tall * 0.55, tall * 0.4])
        lift = tall * (0.5 + (1.1 * (index % 3) if forest else 0.0))
        foliage = Foliage(colours, leaf=0.5 if forest else 1.0, density=0.45)
        plants.leaves(rng, canvas, camera, np.array([x, lift, z]), radius, foliage)


def _trees(rng: Rng, canvas: Canvas, place: Location) -> list[tuple[float, float, float, float]]:
    camera, (count, kind) = place.camera, place.trees
    crowns = []
    for index in range(count):
        near, aside = (3.2, 0.5) if place.habitat == "forest" else (15.0, 0.25)
        spot = _spot(
            rng, camera, near if index else near * 1.2, 22.0 if place.habitat == "forest" else 95.0, aside=aside
        )
        while not place.dry(spot.x, spot.z):
            spot = Spot(spot.x * 1.05, spot.z * 1.07 + 0.5)
        chance = float(rng.random())
        if kind == "acacia":
            tall = 4.5 + 4.0 * chance
            plants.acacia(rng, canvas, camera, spot, tall, Foliage(THORN, leaf=0.17, density=0.42), BARK)
            crowns.append((spot.x, spot.z, tall * 0.9, tall * 0.55))
        elif kind == "palm":
            tall = 5.0 + 4.0 * chance
            plants.palm(rng, canvas, camera, spot, tall, Foliage(GREEN, leaf=0.2), PALE_BARK)
            crowns.append((spot.x, spot.z, tall, tall * 0.22))
        else:
            tall = (16.0 if place.habitat == "forest" else 7.0) + 5.0 * chance
            girth = 0.1 + 0.3 * chance * chance if place.habitat == "forest" else 0.2 + 0.12 * chance
            colours = JUNGLE if place.habitat == "forest" else (*GREEN, *THORN)
            bark = GREY_BARK if index % 2 else BARK
            plants.broadleaf(rng, canvas, camera, spot, tall, Foliage(colours, leaf=0.2), bark, girth=girth)
            crowns.append((spot.x, spot.z, tall * 0.75, tall * 0.28))
    return crowns


def _undergrowth(rng: Rng, canvas: Canvas, place: Location) -> None:
    camera = place.camera
    forest = place.habitat == "forest"
    for index in range(place.bushes):
        near = 4.0 if forest else 9.0
        spot = _spot(rng, camera, near, 24.0 if forest else 90.0, aside=0.3 if index % 3 else 0.05)
        if not place.dry(spot.x, spot.z):
            continue
        tall = (0.5 + 0.9 * float(rng.random())) * min(1.0, spot.z / 9.0 + 0.25)
        colours = JUNGLE if forest else (THORN, OLIVE)[index % 2]
        if forest and index % 3 == 0:
            plants.fan(rng, canvas, camera, np.array([spot.x, 0.05, spot.z]), 0.75, Foliage(JUNGLE))
        else:
            plants.bush(rng, canvas, camera, spot, tall, Foliage(colours, leaf=0.11 if forest else 0.08, density=0.45))
    if forest:
        for _ in range(5):
            plants.liana(rng, canvas, camera, _spot(rng, camera, 4.0, 16.0, aside=0.2), (BARK, JUNGLE[1]))
        for side in (-1.0, 1.0):
            edge = side * 0.56 * WIDTH * 2.6 / camera.focal
            plants.leaves(rng, canvas, camera, np.array([edge, 0.25 + 2.0 * float(rng.random()), 2.6]),
                          np.array([0.34, 0.5, 0.3]), Foliage(JUNGLE, leaf=0.13, density=0.4))  # fmt: skip


def _stones(rng: Rng, canvas: Canvas, place: Location) -> None:
    camera = place.camera
    for index in range(place.rocks + place.mounds):
        mound = index >= place.rocks
        spot = _spot(rng, camera, 5.0 if not mound else 14.0, 40.0, aside=0.3)
        wide = (0.2 + 0.5 * float(rng.random())) if not mound else 0.7 + 0.3 * float(rng.random())
        tall = wide * (0.7 if not mound else 1.9)
        px, py = camera.project(np.array([spot.x]), np.zeros(1), np.array([spot.z]))
        metre = SCALE * camera.focal / spot.z
        colour = (0.26, 0.24, 0.21) if not mound else place.soil.bare
        box = (float(px[0]), float(py[0]), wide * metre, tall * metre)
        paint_rock(canvas, box, spot.z, colour, seed=int(rng.integers(0, 1 << 30)), tall=1.0 if mound else 0.0)


def _fallen_log(rng: Rng, canvas: Canvas, place: Location) -> None:
    camera = place.camera
    spot = _spot(rng, camera, 5.5, 14.0, aside=0.35)
    girth, half = 0.1 + 0.14 * float(rng.random()), 1.0 + 1.2 * float(rng.random())
    x = np.array([spot.x - half, spot.x + half])
    px, py = camera.project(x, np.array([girth * 0.8, girth]), np.array([spot.z, spot.z]))
    metre = SCALE * camera.focal / spot.z
    ends = (float(px[0]), float(py[0]), girth * metre, float(px[1]), float(py[1]), girth * 0.7 * metre)
    paint_limb(canvas, ends, spot.z, GREY_BARK, seed=int(rng.integers(0, 1 << 30)), grain=3.0)


def _ground_cover(rng: Rng, canvas: Canvas, place: Location) -> None:
    tall, patches, colours = place.grass
    camera, river = place.camera, place.river
    common = {"river": river, "colours": colours}
    plants.grass(rng, canvas, camera, count=52000, tall=tall * 0.45, patches=patches - 0.08, **common)  # type: ignore[arg-type]
    plants.grass(rng, canvas, camera, count=22000, tall=tall, patches=patches + 0.06, **common)  # type: ignore[arg-type]
    if river is not None:
        plants.grass(
            rng, canvas, camera, count=30000, tall=0.8, patches=0.5, colours=(*GREEN, *OLIVE), river=river, along=True
        )


@lru_cache(maxsize=8)
def paint_location(number: int, seed: int = 0) -> Scene:
    """Paint location `number` (1..20); the same number and seed give the same scene on every machine."""
    place = LOCATIONS[number - 1]
    rng = np.random.Generator(np.random.PCG64([seed, number, 7]))
    canvas = Canvas.empty()
    ranges = len(place.ridges)
    for index, tall in enumerate(place.ridges):
        paint_ridge(
            canvas, place.camera, 9000.0 / (1 + index * 1.6), tall=tall, rough=3.0 + 2.5 * index,
            colour=(0.16, 0.17, 0.12) if index < ranges - 1 else (0.17, 0.16, 0.09), seed=number * 13 + index,
        )  # fmt: skip
    paint_ground(canvas, place.camera, place.soil, seed=number * 1009)
    if place.river is not None:
        flood(canvas, place.camera, place.river)
    _far_woods(rng, canvas, place)
    crowns = _trees(rng, canvas, place)
    _undergrowth(rng, canvas, place)
    _stones(rng, canvas, place)
    if place.habitat == "forest" or number % 3 == 0:
        _fallen_log(rng, canvas, place)
    _ground_cover(rng, canvas, place)
    canvas.water &= np.isinf(canvas.front)
    return Scene(place, canvas, np.array(crowns).reshape(-1, 4))
