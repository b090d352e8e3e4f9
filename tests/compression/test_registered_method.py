"""A method of another package (tests/plugins): recipes, the list and the rules of order know it."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_up_herd import dense_submission
from refusals import refused
from typer.testing import CliRunner

from wildbench import plugins
from wildbench.cli import app
from wildbench.compression.recipes import parse_recipe, with_settings
from wildbench.submissions.archive import read_submission

RECIPE = "summary = 'x'\n[[steps]]\nmethod = 'weights'\n[[steps]]\nmethod = 'clip'\n"


def wildbench(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def test_it_works_in_a_recipe_and_in_the_list(savanna: Path, tmp_path: Path) -> None:
    recipe, dense, made = tmp_path / "clipped.toml", dense_submission(tmp_path / "dense.pt"), tmp_path / "a.pt"
    recipe.write_text(RECIPE)
    changes = ("--set", "at=1.5", "--set", "weights.ratio=0")
    assert "clipped at 1.5" in wildbench("baseline", "run", recipe, "--from", dense, "-o", made, *changes)
    before, after = read_submission(dense), read_submission(made)
    assert after.manifest.method is not None
    assert after.manifest.method.endswith("weights clipped at 1.5 standard deviations")
    name = next(name for name, tensor in before.tensors.items() if tensor.ndim == 4)
    limit = 1.5 * before.tensors[name].std().item()
    assert before.tensors[name].abs().max() > limit
    assert after.tensors[name].equal(before.tensors[name].clamp(-limit, limit))
    rows = wildbench("baseline", "list").splitlines()
    assert any({"clip", "quantization"} <= set(row.split()) for row in rows)


def test_its_attributes_rule_like_those_of_our_own(savanna: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [{"method": "clip"}, {"method": "filters"}]
    recipe = parse_recipe({"summary": "x", "steps": steps})
    assert not recipe.needs_data
    clip = plugins.methods.get("clip")
    for change, allowed in (({"last": True}, False), ({"keeps": True}, False), ({"ties": True}, False), ({}, True)):
        monkeypatch.setitem(plugins.methods._resolved, "clip", replace(clip, **change))
        if allowed:
            assert parse_recipe({"summary": "x", "steps": steps}) == recipe
        else:
            with refused("recipe/order", "follows clip"):
                parse_recipe({"summary": "x", "steps": steps})
    looks = replace(clip, needs_data=lambda settings: settings.at < 1)
    monkeypatch.setitem(plugins.methods._resolved, "clip", looks)
    assert not recipe.needs_data
    assert with_settings(recipe, [("at", 0.5)]).needs_data
    with refused("recipe/unknown-method", "did you mean 'clip'?"):
        parse_recipe({"summary": "x", "steps": [{"method": "clipp"}]})
    with refused("recipe/invalid", "at"):
        parse_recipe({"summary": "x", "steps": [{"method": "clip", "at": 0.0}]})
