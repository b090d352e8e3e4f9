"""The plan of every image, drawn from one seed before anything is painted.

Counts come first: the published proportions by largest remainder, then exact shares for the splits; only then groups,
cameras, light and size. What the plan promises, composition keeps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wildbench.categories import CATEGORIES, PAPER_COUNTS, SPLITS
from wildbench.parksim._animal import Individual, height_m, length_m, postures
from wildbench.parksim._kernels import COSINES, SINES
from wildbench.parksim.scenes import LOCATIONS, Location


@dataclass(frozen=True)
class Habit:
    """What planning knows of a species; the first three are the weights of the habitats."""

    savanna: int
    river: int
    forest: int
    herds: tuple[int, ...]
    """Group sizes, drawn evenly."""
    nocturnal: float
    """Share of its pictures taken at night, where the flash reaches."""
    fill: float
    """Share of the box around its side view that the body covers."""
    front: float
    """Area of its front view as a share of its side view."""
    mixes: bool = False
    """Whether it is seen together with other species."""
    wades: bool = False
    """Whether it enters water."""


HABITS: dict[str, Habit] = {
    "giraffe": Habit(6, 3, 0, (1, 1, 2, 2, 3), 0.1, 0.28, 0.7, mixes=True),
    "person": Habit(3, 3, 3, (1, 1, 2), 0.2, 0.6, 1.45),
    "zebra": Habit(6, 4, 0, (1, 2, 2, 3, 4, 5), 0.12, 0.37, 0.45, mixes=True),
    "elephant": Habit(4, 4, 2, (1, 1, 2, 2, 3, 4), 0.2, 0.6, 0.6, mixes=True, wades=True),
    "impala": Habit(6, 4, 0, (1, 2, 3, 4, 5, 6), 0.15, 0.24, 0.58, mixes=True),
    "monkey": Habit(1, 3, 5, (1, 2, 2, 3, 4), 0.05, 0.24, 0.87, mixes=True),
    "lion": Habit(7, 3, 0, (1, 1, 2, 2, 3), 0.4, 0.38, 0.44),
    "leopard": Habit(3, 3, 4, (1,), 0.55, 0.32, 0.41),
    "crocodile": Habit(0, 1, 0, (1, 1, 2, 2, 3), 0.1, 0.57, 0.5, wades=True),
    "buffalo": Habit(5, 4, 1, (1, 2, 2, 3, 4), 0.2, 0.53, 0.49, mixes=True, wades=True),
    "hyena": Habit(7, 3, 0, (1, 1, 2, 2, 3), 0.55, 0.38, 0.5),
    "bird": Habit(4, 4, 2, (1, 2, 2, 3, 4), 0.03, 0.27, 0.68, mixes=True),
    "gorilla": Habit(0, 0, 1, (1, 1, 2, 2, 3), 0.1, 0.57, 0.83),
}

TOTAL = 1309
SHARES = (0.6, 0.75)  # where val and test begin, as shares of the instances
EMPTY_SHARE = 0.08
FRAME_BOTTOM = 372
FLASH_LIMIT = 15.0  # metres
SMALLEST = 210.0  # silhouette in pixels, of the smallest animal in a herd
SIZES = ((300.0, 1000.0), (1300.0, 9000.0), (12500.0, 44000.0))  # silhouette in pixels: small, medium, large

Rng = np.random.Generator


@dataclass(frozen=True)
class Guest:
    """One animal of one image: who, turned how (radians, see `View`), at how many pixels per metre."""

    individual: Individual
    azimuth: float
    scale: float
    column: float
    """The image column that its herd keeps around."""
    gap: float = 1.0
    """What stands nearer than this share of its distance can hide it; below 1 it stands in a gap in the plants."""


@dataclass(frozen=True)
class ImagePlan:
    """One image: where, when, in what weather, with whom."""

    number: int
    split: str
    location: int
    time_of_day: str
    weather: str
    seed: int
    guests: tuple[Guest, ...]


def largest_remainder(weights: dict[str, int], total: int) -> dict[str, int]:
    """Share out `total` in proportion to `weights`, whole numbers, by the largest remainder.

    Example:
        >>> largest_remainder({"a": 1, "b": 1, "c": 1}, 5)
        {'a': 2, 'b': 2, 'c': 1}
    """
    whole = sum(weights.values())
    counts = {name: weight * total // whole for name, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda name: -(weights[name] * total % whole))
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def split_counts() -> dict[str, dict[str, int]]:
    """Instances of each category in each split: 60, 15 and 25 percent, rounded on the running total.

    Example:
        >>> {split: sum(counts.values()) for split, counts in split_counts().items()}
        {'train': 785, 'val': 197, 'test': 327}
    """
    result: dict[str, dict[str, int]] = {split: {} for split in SPLITS}
    before = 0
    for name, count in largest_remainder(PAPER_COUNTS, TOTAL).items():
        after = before + count
        val, test = (round(share * after) - round(share * before) for share in SHARES)
        result["train"][name], result["val"][name], result["test"][name] = val, test - val, count - test
        before = after
    return result


def _pick(rng: Rng, weights: dict[str, int]) -> str:
    mark = int(rng.integers(0, sum(weights.values())))
    for name, weight in weights.items():
        mark -= weight
        if mark < 0:
            return name
    raise AssertionError


def _shuffled(rng: Rng, items: list[list[str]]) -> list[list[str]]:
    return [items[index] for index in np.argsort(rng.random(len(items)), kind="stable")]


def _groups(rng: Rng, counts: dict[str, int]) -> list[list[str]]:
    """The images of a split as lists of species, herd by herd; some hold two herds."""
    herds: list[list[str]] = []
    for name in CATEGORIES:
        remaining = counts[name]
        while remaining:
            size = min(remaining, HABITS[name].herds[int(rng.integers(0, len(HABITS[name].herds)))])
            herds.append([name] * size)
            remaining -= size
    images: list[list[str]] = []
    waiting: list[str] | None = None
    for herd in _shuffled(rng, herds):
        if HABITS[herd[0]].mixes and len(herd) <= 3 and rng.random() < 0.45:
            if waiting is not None and _shared_habitats([*waiting, *herd]) and waiting[0] != herd[0]:
                images.append([*waiting, *herd])
                waiting = None
                continue
            if waiting is None:
                waiting = herd
                continue
        images.append(herd)
    return [*images, waiting] if waiting else images


def _shared_habitats(species: list[str]) -> dict[str, int]:
    shared: dict[str, int] = {}
    for habitat in ("savanna", "river", "forest"):
        weight = min(int(getattr(HABITS[name], habitat)) for name in species)
        if weight:
            shared[habitat] = weight
    return shared


def _individual(rng: Rng, name: str, leader: Individual | None) -> Individual:
    choices = postures(name)
    posture = choices[int(rng.integers(0, len(choices)))]
    if leader is not None and rng.random() < 0.45:
        posture = leader.posture
    age = "juvenile" if leader is not None and rng.random() < 0.3 else "adult"
    sex = ("female", "male")[int(rng.integers(0, 2))]
    seed = int(rng.integers(0, 1 << 26)) * 16
    seed += leader.seed % 16 if leader is not None else int(rng.integers(0, 16))
    return Individual(name, age, sex, posture, seed)


def _size(individual: Individual) -> tuple[float, float]:
    """Height and length in metres of the typical animal of its kind, age and sex."""
    typical = replace(individual, posture=postures(individual.species)[0], seed=individual.seed % 16)
    return height_m(typical), length_m(typical)


def _silhouette(individual: Individual, azimuth_step: int) -> float:
    """About how many square metres of it the camera sees."""
    habit, (high, long) = HABITS[individual.species], _size(individual)
    side, front = abs(float(COSINES[azimuth_step])), abs(float(SINES[azimuth_step]))
    return habit.fill * high * long * (side * side + habit.front * front * front)


def _fitted(place: Location, individual: Individual, scale: float, *, cut: bool) -> float:
    """The scale brought to what this camera can show: feet above the strip, head mostly below the upper edge."""
    eye, high = place.camera, _size(individual)[0]
    spare = 0.3 * high if cut else 0.0
    scale = min(scale, (FRAME_BOTTOM - 4 - eye.horizon) / max(0.2, eye.height - spare))
    above = (0.6 if cut else 0.96) * high - eye.height
    if above > 0:
        scale = min(scale, eye.horizon / above)
    scale = min(max(scale, eye.focal / place.farthest), eye.focal / 2.0)
    if place.river is None or HABITS[individual.species].wades:
        return round(scale, 6)
    z = eye.focal / scale
    near, far = place.river.near * 0.78, place.river.far * 1.25
    if near < z < far:
        z = near if z * z < near * far else far
    return round(eye.focal / z, 6)


def _guests(rng: Rng, species: list[str], place: Location) -> list[Guest]:
    guests: list[Guest] = []
    leader: Individual | None = None
    size, heading, column, base, cut = 1, 0.0, 256.0, 0.0, False
    for name in species:
        if leader is None or leader.species != name:
            leader = None
            herd = species.count(name)
            chances = (0.15, 0.29) if herd <= 2 and len(species) <= 3 else (0.21, 0.37)
            mark = float(rng.random())
            size = 0 if mark < chances[0] else 1 if mark < chances[1] else 2
            side = int(rng.integers(0, 2)) * 2048
            heading = side + (float(rng.random()) - 0.5) * (900 if rng.random() < 0.75 else 3600)
            column = 512 * (0.2 + 0.6 * float(rng.random()))
            cut = bool(rng.random() < 0.2)
        individual = _individual(rng, name, leader)
        azimuth_step = int(heading + (float(rng.random()) - 0.5) * 500) % 4096
        square_metre = _silhouette(individual, azimuth_step)
        if leader is None:
            least, most = SIZES[size]
            most = max(least * 1.3, most / len(species)) if size == 2 else most
            mark = float(rng.random())
            base = float(np.sqrt((least + (most - least) * mark * mark) / square_metre))
        scale = base * (0.82 + 0.4 * float(rng.random())) if leader is not None else base
        scale = max(scale, float(np.sqrt(SMALLEST / square_metre)))
        scale = _fitted(place, individual, scale, cut=cut)
        azimuth = round(azimuth_step * 2.0 * np.pi / 4096, 6)
        guests.append(Guest(individual, azimuth, scale, column))
        leader = leader or individual
    return guests


def _time(rng: Rng, guests: list[Guest], place: Location) -> str:
    nocturnal = max((HABITS[guest.individual.species].nocturnal for guest in guests), default=0.3)
    farthest = max((place.camera.focal / guest.scale for guest in guests), default=5.0)
    if farthest <= FLASH_LIMIT and rng.random() < nocturnal * 1.25:
        return "night"
    return "dusk" if rng.random() < 0.25 else "day"


def _image(rng: Rng, species: list[str], split: str, uses: dict[int, int]) -> ImagePlan:
    habitats = _shared_habitats(species) if species else {"savanna": 4, "river": 3, "forest": 3}
    habitat = _pick(rng, habitats)
    open_places = [place for place in LOCATIONS if place.split == split and place.habitat == habitat]
    place = min(open_places, key=lambda one: (uses[one.number], one.number))
    uses[place.number] += 1
    guests = _guests(rng, species, place)
    farthest = max((place.camera.focal / guest.scale for guest in guests), default=5.0)
    weights = {"clear": 60, "haze": 13, "dust": 0 if place.habitat == "forest" else 12, "rain": 15}
    weather = "clear" if farthest > 70.0 else _pick(rng, weights)
    time_of_day = _time(rng, guests, place)
    return ImagePlan(0, split, place.number, time_of_day, weather, int(rng.integers(0, 1 << 30)), tuple(guests))


def plan(seed: int = 0) -> list[ImagePlan]:
    """Plan the whole data set: split by split, the images of each in random order, numbered from 1."""
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    uses = dict.fromkeys((place.number for place in LOCATIONS), 0)
    images: list[ImagePlan] = []
    for split, counts in split_counts().items():
        groups = _groups(rng, counts)
        groups += [[] for _ in range(round(len(groups) * EMPTY_SHARE / (1.0 - EMPTY_SHARE)))]
        images += [_image(rng, species, split, uses) for species in _shuffled(rng, groups)]
    return [replace(image, number=index + 1) for index, image in enumerate(images)]
