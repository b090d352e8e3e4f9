"""What is lost first along a curve."""

from made_up_points import point, summary

from studies.results.losses import categories, sizes, told
from wildbench.sweeps.record import Place, places, position_of, series_of

LION = (-0.1, -0.5, -0.7)
"""Dense has 0.8: less than half is left at the second place."""
ZEBRA = (0.0, -0.1, -0.2)
"""Dense has 0.6: more than half is left at the last."""


def curve() -> list[Place]:
    settings = [{"ratio": ratio} for ratio in (0.1, 0.2, 0.3)]
    lost = [{"lion": lion, "zebra": zebra} for lion, zebra in zip(LION, ZEBRA, strict=True)]
    return places(
        summary(*(point(settings=one, categories=loss) for one, loss in zip(settings, lost, strict=True))).points
    )


def test_what_is_lost_first_stands_first() -> None:
    lion, zebra, bird = sorted(categories(curve()), key=lambda part: ["lion", "zebra", "bird"].index(part.name))
    assert [part.name for part in categories(curve())] == ["lion", "zebra", "bird"]
    assert (lion.lost_at, zebra.lost_at, bird.lost_at) == (1, None, None)
    assert [round(change, 9) for change in lion.differences if change is not None] == list(LION)
    assert lion.worse == (True, True, True)  # its intervals end 0.01 above the loss
    assert zebra.worse == (False, True, True)
    assert (lion.dense, lion.boxes) == (0.8, 10)


def test_it_is_told_in_words() -> None:
    said = told(categories(curve()), [position_of(place[0]) for place in curve()])
    assert said == (
        "Lost first, with less than half of the dense AP50 left: lion (10 boxes; from ratio 0.2). Not shown to be "
        "lost, which is not to be kept: zebra (10 boxes). Not found by the dense detector either: bird (10 boxes)."
    )


def test_a_loss_without_an_interval_below_zero_is_not_told() -> None:
    """All of it is gone by the value, and nothing is known of it."""
    one = point(settings={"ratio": 0.5}, categories={"lion": -0.8, "zebra": -0.6})
    one["per_category"]["lion"]["interval"] = (-1.0, 0.1)
    one["per_category"]["zebra"] |= {"interval": None, "n": 1}
    parts = categories(places(summary(one).points))
    assert [part.lost_at for part in parts] == [None, None, None]
    said = told(parts, ["ratio 0.5"])
    assert "Lost first" not in said
    assert "Not shown to be lost, which is not to be kept: lion (10 boxes)." in said
    assert "Without an interval, so that nothing is shown: zebra (1 box)." in said


def test_one_experiment_in_two_sweeps_counts_once() -> None:
    """A grid that says what the recipe says anyway; other seeds, parents and settings are others."""
    said = point(settings={"scope": "backbone", "ratio": 0.3})
    one, again, seed, parent, more = summary(
        said, point(), point(seed=1), point(dense="other"), point(settings={"ratio": 0.4})
    ).points
    assert places([one, again, seed, parent, more]) == [(one, seed, parent), (more,)]


def test_sizes_are_in_their_order() -> None:
    assert [part.name for part in sizes(curve())] == ["small", "medium", "large"]


def test_several_parents_are_their_mean_and_worse_only_together() -> None:
    both = [
        point(dense="a", categories={"lion": -0.2}),
        point(dense="b", categories={"lion": 0.1}),
    ]
    (place,) = places(summary(*both).points)
    lion = next(part for part in categories([place]) if part.name == "lion")
    assert lion.differences[0] is not None
    assert abs(lion.differences[0] + 0.05) < 1e-9
    assert lion.worse == (False,)


def test_points_of_one_curve_share_recipe_words_and_format() -> None:
    plain = {"settings": {"scope": "both", "ratio": 0.1}}
    one, other, graph = summary(point(**plain), point("random", **plain), point("int8", format="onnx")).points
    assert (series_of(one), position_of(one)) == ("unstructured both", "ratio 0.1")
    assert (series_of(other), series_of(graph)) == ("random both", "int8 onnx")
    assert position_of(graph) == ""
