"""Which channels go: in what order, in what chunks, and how many."""

import pytest
import torch
from made_up_subjects import channels_of
from torch import Tensor

from wildbench.compression.pruning._filters import chunks, ranked, uniform

NINE = torch.tensor([5.0, 1, 9, 2, 8, 3, 7, 4, 6])


def test_the_least_important_go_first_and_multiples_are_left() -> None:
    assert chunks(channels_of(9), NINE, 4) == [[1], [3, 5, 7, 0]], "8 left, then 4"
    assert chunks(channels_of(8), NINE[:8], 4) == [[1, 3, 5, 7]]
    assert chunks(channels_of(4), NINE[:4], 4) == [], "a layer as narrow as that keeps all"
    assert chunks(channels_of(3), NINE[:3], 4) == []


def test_groups_of_a_norm_go_whole() -> None:
    scores = torch.tensor([9.0, 0, 4, 4, 1, 2, 8, 8])
    assert chunks(channels_of(8, block=2), scores, 2) == [[4, 5], [2, 3], [0, 1]], "means 4.5, 4, 1.5, 8"
    assert chunks(channels_of(8, block=2), scores, 3) == [[4, 5]], "of 8, 6 are a multiple of 2 and 3"


@pytest.mark.parametrize(("ratio", "gone"), [(0.0, 0), (0.1, 1), (0.33, 1), (0.34, 5), (0.99, 5)])
def test_uniform_takes_the_nearest_share_of_each(ratio: float, gone: int) -> None:
    assert [len(indices) for indices in uniform([channels_of(9)] * 2, [NINE, NINE * 100], ratio, 4)] == [gone, gone]


def test_ranked_takes_the_least_of_all_layers_up_to_the_ratio() -> None:
    layers = [channels_of(4), channels_of(4, filters=2)]
    scores = [torch.tensor([1.0, 6, 3, 8]), torch.tensor([7.0, 2, 4, 5])]
    taken = {ratio: ranked(layers, scores, ratio, 1) for ratio in (1 / 12, 3 / 12, 4 / 12, 5 / 12, 6 / 12)}
    assert taken == {
        1 / 12: [[0], []],
        3 / 12: [[0], [1]],
        4 / 12: [[0, 2], [1]],
        5 / 12: [[0, 2, 1], [1]],  # the next costs two filters, the one after it one
        6 / 12: [[0, 2], [1, 2]],
    }


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.5, 0.8])
def test_one_filter_at_a_time_the_ratio_is_met_to_one(ratio: float) -> None:
    random = torch.Generator().manual_seed(0)
    layers = [channels_of(width) for width in (10, 20, 40)]
    scores = [torch.rand(one.width, generator=random) for one in layers]
    gone = ranked(layers, scores, ratio, 1)
    assert sum(map(len, gone)) == int(ratio * 70)
    worst = max(float(score[indices].max()) for score, indices in zip(scores, gone, strict=True) if indices)
    assert all((score < worst).sum() <= len(indices) for score, indices in zip(scores, gone, strict=True))


def test_layers_of_small_scale_are_not_emptied() -> None:
    scores: list[Tensor] = [torch.rand(16) * 1e-6, torch.rand(16)]
    gone = ranked([channels_of(16)] * 2, scores, 0.5, 4)
    assert [len(indices) for indices in gone] == [12, 4]
    assert [len(indices) for indices in ranked([channels_of(16)] * 2, scores, 0.99, 4)] == [12, 12]
