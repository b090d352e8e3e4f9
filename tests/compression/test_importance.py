"""Importance of coupled channels, against numbers worked out by hand."""

import pytest
import torch
from made_up_subjects import channels_of
from torch import Tensor, nn

from wildbench.compression.pruning import _importance
from wildbench.compression.pruning._coupling import Channels, Slice


def layer(kind: type, weights: list, **arguments: int) -> nn.Module:
    values = torch.tensor(weights, dtype=torch.float32)
    if kind is nn.Linear:
        module: nn.Module = nn.Linear(values.shape[1], values.shape[0], bias=False)
    else:
        values = values[:, :, None, None]
        module = nn.Conv2d(values.shape[1] * arguments.get("groups", 1), len(values), 1, bias=False, **arguments)
    module.weight = nn.Parameter(values)
    return module


@pytest.fixture
def coupled() -> Channels:
    """Two channels: made by 2 filters, passed on by a depthwise layer, read as two flattened pixels each."""
    makes = layer(nn.Conv2d, [[1, -2], [3, 0]])
    passes = layer(nn.Conv2d, [[5], [-7]], groups=2)
    reads = layer(nn.Linear, [[1, 2, 3, 4], [0, 1, 0, -1]])
    own = torch.arange(2)
    return Channels(
        width=2,
        block=1,
        root=makes,
        slices=(
            Slice("makes", makes, True, own, own),
            Slice("passes", passes, True, own, own),
            Slice("reads", reads, False, torch.arange(4), torch.tensor([0, 0, 1, 1])),
        ),
    )


def test_l1_is_the_mean_norm_of_the_filters(coupled: Channels) -> None:
    assert _importance.l1(coupled).tolist() == [(3 + 5) / 2, (3 + 7) / 2]


def test_group_l2_is_that_of_all_slices_relative_to_their_mean(coupled: Channels) -> None:
    first, second = 5 + 25 + (1 + 4 + 1), 9 + 49 + (9 + 16 + 1)
    expected = [2 * first / (first + second), 2 * second / (first + second)]
    assert _importance.group_l2(coupled).tolist() == pytest.approx(expected)


def test_fpgm_spares_what_others_do_not_resemble() -> None:
    makes = layer(nn.Conv2d, [[0, 0], [9, 0], [10, 0], [11, 0], [30, 0]])
    own = torch.arange(5)
    found = _importance.fpgm(Channels(5, (Slice("makes", makes, True, own, own),), 1, makes))
    distances = torch.tensor([60.0, 33, 32, 33, 90])
    torch.testing.assert_close(found, distances / distances.mean())
    assert int(found.argmin()) == 2, "the median goes, not the smallest"


def test_layers_without_any_weight_left_are_finite() -> None:
    makes = layer(nn.Conv2d, [[0, 0], [0, 0]])
    own = torch.arange(2)
    empty = Channels(2, (Slice("makes", makes, True, own, own),), 1, makes)
    assert _importance.fpgm(empty).tolist() == _importance.group_l2(empty).tolist() == [0, 0]


def test_random_is_seeded() -> None:
    layers = [channels_of(3), channels_of(5)]
    first, second, third = ([s.tolist() for s in _importance.random(layers, seed)] for seed in (0, 0, 1))
    assert first == second != third
    assert [len(score) for score in first] == [3, 5]


def test_taylor_is_the_squared_change_of_a_linear_loss() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 1))
    own = torch.arange(3)
    channels = Channels(
        3,
        (
            Slice("0", model[0], True, own, own),
            Slice("3", model[3], False, torch.arange(12), torch.arange(3).repeat_interleave(4)),
        ),
        1,
        model[0],
    )
    images = [torch.randn(1, 2, 2, 2) for _ in range(3)]
    (found,) = _importance.taylor([channels], (model(image).sum() for image in images), model)
    assert all(parameter.grad is None for parameter in model.parameters())

    def without(channel: int, image: Tensor) -> float:
        features = model[:2](image)
        features[:, channel] = 0
        return float(model[2:](features).sum())

    with torch.no_grad():
        expected = [sum((float(model(i).sum()) - without(channel, i)) ** 2 for i in images) for channel in range(3)]
    assert found.tolist() == pytest.approx(expected, rel=1e-4)
