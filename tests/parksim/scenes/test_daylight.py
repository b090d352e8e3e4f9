"""Light, weather and the camera's own marks."""

import numpy as np
import pytest

from wildbench.parksim.scenes._canvas import HEIGHT, WIDTH
from wildbench.parksim.scenes._daylight import FLASH_REACH, STRIP, daylight, flash, photograph, reflect, shade, sunlit
from wildbench.parksim.scenes._locations import paint_location


@pytest.mark.parametrize("time", ["day", "dusk", "night"])
@pytest.mark.parametrize("weather", ["clear", "haze", "dust", "rain"])
def test_every_light_shades_to_finite_colours(time: str, weather: str) -> None:
    scene = paint_location(7)
    light = daylight(time, weather, seed=5, forest=False)
    assert np.linalg.norm(light.direction) == pytest.approx(1.0, abs=0.01)
    picture = shade(scene, light, sunlit(scene, light))
    assert np.isfinite(picture).all()
    assert (picture >= 0).all()


def test_sun_is_low_and_red_at_dusk() -> None:
    for seed in range(20):
        day, dusk = (daylight(time, "clear", seed=seed, forest=False) for time in ("day", "dusk"))
        assert dusk.direction[1] < 0.4 < 0.6 < day.direction[1]
        assert dusk.sun[0] / dusk.sun[2] > 2 * day.sun[0] / day.sun[2]


def test_flash_falls_off() -> None:
    assert flash(0.0) == 1.0
    assert flash(FLASH_REACH) == 0.5
    assert flash(30.0) < 0.1


def test_night_is_brightest_close_by() -> None:
    scene = paint_location(4)
    light = daylight("night", "clear", seed=3, forest=False)
    picture = shade(scene, light, sunlit(scene, light)).mean(axis=2)
    depth = scene.canvas.depth
    assert picture[depth < 6.0].mean() > 3 * picture[(depth > 20.0) & (depth < 100.0)].mean()


def test_dust_hides_the_distance() -> None:
    scene = paint_location(4)
    far = (scene.canvas.depth > 80.0) & (scene.canvas.depth < 400.0)
    contrast = {}
    for weather in ("clear", "dust"):
        light = daylight("day", weather, seed=3, forest=False)
        contrast[weather] = shade(scene, light, sunlit(scene, light))[far].std()
    assert contrast["dust"] < 0.6 * contrast["clear"]


def test_water_mirrors_what_stands_above_its_far_bank() -> None:
    scene = paint_location(7)
    light = daylight("day", "clear", seed=3, forest=False)
    picture = shade(scene, light, sunlit(scene, light))
    covered = np.zeros(scene.canvas.water.shape, np.bool_)
    dark, bright = picture.copy(), picture.copy()
    shore = np.flatnonzero(scene.canvas.water.any(axis=1)).min()
    dark[:shore], bright[:shore] = 0.0, 2.0
    for one in (dark, bright):
        reflect(scene, light, one, covered)
    assert bright[scene.canvas.water].mean() > dark[scene.canvas.water].mean() + 0.3
    np.testing.assert_array_equal(
        bright[shore:][~scene.canvas.water[shore:]], picture[shore:][~scene.canvas.water[shore:]]
    )


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
