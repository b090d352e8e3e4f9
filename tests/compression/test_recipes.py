"""A recipe says what is done; a mistake in it is one line that names the file, the step and the key."""

from pathlib import Path

import pytest
from refusals import refused

from wildbench import plugins
from wildbench.compression.recipes import (
    Recipe,
    bundled_recipes,
    find_recipe,
    load_recipe,
    parse_change,
    parse_recipe,
    with_settings,
)
from wildbench.detectors._recipe import load_recipe as load_training_recipe
from wildbench.resources import bundled

WEIGHTS = {"method": "weights", "ratio": 0.3}
UNITS = {"method": "units", "ratio": 0.2}


def chain(*steps: dict[str, object]) -> Recipe:
    return parse_recipe({"summary": "a chain", "steps": list(steps)}, "chain.toml", "chain")


@pytest.mark.parametrize("recipe", bundled_recipes(), ids=lambda recipe: recipe.name)
def test_bundled_recipes_say_what_they_do(recipe: Recipe) -> None:
    assert recipe.name == Path(recipe.place).stem
    assert recipe.summary[0].islower() or not recipe.summary[0].isalpha() or recipe.summary.split()[0].isupper()
    assert not recipe.summary.endswith(".")
    assert recipe.chain.split(" → ") == [step.method for step in recipe.steps]


def test_every_toml_of_the_folder_is_of_one_kind() -> None:
    compression = {recipe.name for recipe in bundled_recipes()}
    for path in bundled("baselines").glob("*.toml"):
        if path.stem in compression:
            with refused("recipe/compression-recipe"):
                load_training_recipe(path)
        else:
            load_training_recipe(path)
            with refused("recipe/training-recipe"):
                load_recipe(path)


def test_every_method_is_in_some_bundled_recipe() -> None:
    assert {step.method for recipe in bundled_recipes() for step in recipe.steps} == set(plugins.methods.names())


STEP = "[[steps]]\nmethod = '{}'\n"


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("summary = ", "not-toml", "r.toml"),
        (STEP.format("weights"), "invalid", "r.toml: summary: "),
        ("summary = 'x'\nsteps = []", "no-steps", "r.toml"),
        ("summary = 'x'\nspeed = 3\n" + STEP.format("weights"), "invalid", "r.toml: speed: "),
        ("summary = 'x'\n[data]\nname = 'x'\n" + STEP.format("weights"), "invalid", "r.toml: data.name: "),
        ("summary = 'x'\n[[steps]]\nratio = 0.3", "no-method", "r.toml: step 1: "),
        ("summary = 'x'\n" + STEP.format("wieghts"), "unknown-method", "r.toml: step 1: "),
        ("summary = 'x'\n" + STEP.format("weights") * 2 + "rate = 1", "invalid", "r.toml: step 2 (weights): rate: "),
        ("summary = 'x'\n" + STEP.format("weights") + "ratio = 1.5", "invalid", "r.toml: step 1 (weights): ratio: "),
        ("summary = 'x'\n" + STEP.format("weights") + "ratio = nan", "invalid", "r.toml: step 1 (weights): ratio: "),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, code: str, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.toml").write_text(text)
    with refused(f"recipe/{code}", place):
        load_recipe("r.toml")


def test_a_step_that_would_destroy_what_another_did_is_refused() -> None:
    for method in ("quantize", "half", "code"):
        with refused("recipe/order", f"step 2 (weights) follows {method}"):
            chain({"method": method}, WEIGHTS)
    for method in ("weights", "units", "kernels", "quantize"):
        with refused("recipe/order", f"step 3 ({method}) follows share"):
            chain({"method": "share"}, {"method": "recalibrate"}, {"method": method})
    for method in ("weights", "units", "kernels", "share"):
        with refused("recipe/order", f"step 3 (filters) follows {method}"):
            chain({"method": method}, {"method": "fine-tune"}, {"method": "filters"})


def test_a_name_that_is_not_there_is_one_line_with_the_nearest(tmp_path: Path) -> None:
    with refused("recipe/no-such-recipe", "'unstructed'", "'unstructured'"):
        find_recipe("unstructed")
    with refused("recipe/no-such-recipe"):
        find_recipe(str(tmp_path / "none.toml"))
    with refused("recipe/unknown-method", "'wieghts'", "'weights'"):
        chain({"method": "wieghts"})


@pytest.mark.parametrize(
    ("key", "changed"), [("2.ratio", 1), ("units.ratio", 1), ("weights.ratio", 0), ("criterion", 0)]
)
def test_a_setting_finds_its_step(key: str, changed: int) -> None:
    value = "random" if key == "criterion" else 0.7
    recipe = chain(WEIGHTS, UNITS)
    steps = with_settings(recipe, [(key, value)]).steps
    assert getattr(steps[changed].settings, key.rpartition(".")[2]) == value
    assert steps[1 - changed] == recipe.steps[1 - changed]


@pytest.mark.parametrize(
    ("steps", "key", "value", "code", "parts"),
    [
        ([WEIGHTS, UNITS], "ratio", 0.7, "ambiguous-setting", ["1.ratio, 2.ratio"]),
        ([UNITS, UNITS], "units.ratio", 0.7, "ambiguous-setting", ["'units.ratio'", "1.ratio, 2.ratio"]),
        ([UNITS], "rate", 0.7, "no-such-setting", ["'rate'", "1.ratio, 1.scope"]),
        ([UNITS], "2.ratio", 0.7, "no-such-setting", ["'2.ratio'", "1.ratio, 1.scope"]),
        ([UNITS], "ratio", "much", "invalid", ["ratio: step 1 (units): ratio: "]),
    ],
)
def test_a_setting_without_one_step_is_refused(
    steps: list[dict[str, object]], key: str, value: object, code: str, parts: list[str]
) -> None:
    with refused(f"recipe/{code}", "chain.toml", *parts):
        with_settings(chain(*steps), [(key, value)])


@pytest.mark.parametrize(
    ("method", "key", "value"),
    [
        ("weights", "ratio", "0.3"),
        ("weights", "ratio", False),
        ("quantize", "images", True),
        ("quantize", "weights", "4"),
        ("quantize", "images", 10**30),
        ("quantize", "correct", 1),
        ("fine-tune", "epochs", True),
        ("fine-tune", "epochs", 1e300),
        ("fine-tune", "batch_size", 10**30),
        ("fine-tune", "warmup_steps", 2.0),
        ("recalibrate", "images", 10**30),
    ],
)
def test_a_setting_of_another_kind_or_beyond_all_bounds_is_one_line(method: str, key: str, value: object) -> None:
    with refused("recipe/invalid", f"chain.toml: step 1 ({method}): {key}: "):
        chain({"method": method, key: value})


def test_a_whole_number_is_a_number() -> None:
    assert chain({"method": "fine-tune", "epochs": 2}).steps[0].settings.model_dump()["epochs"] == 2.0


def test_a_change_is_one_line() -> None:
    for text in ("ratio=0.4\nother = 3", "ratio=0.4\r", "scope=\x1b[2J"):
        with refused("recipe/not-a-setting"):
            parse_change(text)


def test_a_change_is_read_as_toml_or_as_a_word() -> None:
    assert parse_change("ratio=0.4") == ("ratio", 0.4)
    assert parse_change("images=8") == ("images", 8)
    assert parse_change("fold=false") == ("fold", False)
    assert parse_change("scope=both") == ("scope", "both")
    for text in ("ratio", "=0.4"):
        with refused("recipe/not-a-setting"):
            parse_change(text)


def test_false_empties_a_setting_that_may_be_empty_and_no_other() -> None:
    emptied = chain({"method": "quantize", "activations": False, "fold": False}).steps[0].settings.model_dump()
    assert emptied["activations"] is None
    assert emptied["fold"] is False
    with refused("recipe/invalid", "ratio"):
        chain({"method": "units", "ratio": "no"})


def test_the_digest_follows_what_is_done_and_not_what_is_said() -> None:
    plain = {"summary": "a chain", "steps": [WEIGHTS]}
    first = parse_recipe(plain)
    assert parse_recipe({**plain, "summary": "another", "source": "us"}, "elsewhere", "other").digest == first.digest
    written_out = parse_recipe({**plain, "steps": [{**WEIGHTS, "scope": "backbone", "criterion": "l1"}]})
    assert written_out.digest == first.digest
    for changes in ({"steps": [UNITS]}, {"data": {"split": "val"}}, {"steps": [WEIGHTS, UNITS]}):
        assert parse_recipe({**plain, **changes}).digest != first.digest
    assert with_settings(first, [("ratio", 0.31)]).digest != first.digest
