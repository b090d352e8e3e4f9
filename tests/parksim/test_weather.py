import numpy as np
import pytest

from wildbench.parksim.scenes._canvas import HEIGHT, WIDTH
from wildbench.parksim.scenes._daylight import STRIP, daylight, photograph

GREY = np.full((HEIGHT, WIDTH, 3), 0.2, np.float32)


def taken(time: str = "day", weather: str = "clear", seed: int = 1) -> np.ndarray:
    light = daylight(time, weather, seed=seed, forest=False)
    return photograph(GREY.copy(), light, weather, seed=seed, caption="PARKSIM")


def test_night_has_no_colour() -> None:
    assert np.ptp(taken("night").astype(int), axis=2).max() == 0


def test_corners_are_darker() -> None:
    picture = taken("night").mean(axis=2)
    assert picture[150:230, 220:290].mean() > 1.3 * picture[:40, :40].mean()


def test_caption_stands_on_a_dark_strip() -> None:
    strip = taken()[HEIGHT - STRIP :]
    assert np.median(strip) < 20
    assert strip.max() > 120


@pytest.mark.parametrize("weather", ["rain", "dust"])
def test_weather_is_seen_in_the_air(weather: str) -> None:
    clear, other = (taken(weather=name)[: HEIGHT - STRIP].astype(float) for name in ("clear", weather))
    assert np.abs(other - clear).mean() > 2.0
    assert other.std() > clear.std()


def test_grain_is_weak_and_repeats_with_its_seed() -> None:
    np.testing.assert_array_equal(taken(seed=4), taken(seed=4))
    middle = taken(seed=4)[160:220, 220:290].astype(float)
    assert 0.5 < middle.std() < 12.0
