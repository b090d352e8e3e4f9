"""Weight sharing and coding: k-means, ties, and bytes at the entropy."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up_subjects import detector, step, subject_of
from numpy.typing import NDArray
from refusals import refused
from scipy.cluster.vq import kmeans2
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.chain import save
from wildbench.compression.methods._coding import clusters, kmeans, merge_statistics, nearest, tied
from wildbench.compression.subject import Subject, prunable
from wildbench.resources import bundled
from wildbench.submissions.archive._archive import read_submission, rebuild, save_submission
from wildbench.submissions.codecs.chains import decode, encode
from wildbench.submissions.inspection import inspect_submission


def distortion(values: NDArray[np.float64], centroids: NDArray[np.float64]) -> float:
    return float(((values - centroids[nearest(values, centroids)]) ** 2).sum())


@pytest.mark.parametrize("k", [1, 2, 5, 9])
@pytest.mark.parametrize("seed", range(2))
def test_the_centroids_of_scipy_from_the_same_start(k: int, seed: int) -> None:
    values = np.random.default_rng(seed).standard_normal(2000)
    start = np.linspace(values.min(), values.max(), k)[:, None] if k > 1 else np.array([[0.0]])
    reference, index = kmeans2(values[:, None], start, iter=1000, minit="matrix", missing="raise")
    assert kmeans(values, k) == pytest.approx(np.sort(reference[:, 0]), abs=1e-12)
    assert distortion(values, kmeans(values, k)) == pytest.approx(float(((values - reference[index, 0]) ** 2).sum()))


def test_the_best_of_all_splits_where_clusters_are_clear() -> None:
    values = np.array([0.0, 0.1, 0.3, 5.0, 5.2, 9.0, 9.3, 9.4])
    splits = [np.split(values, at) for at in combinations(range(1, 8), 2)]
    best = min(sum(float(((part - part.mean()) ** 2).sum()) for part in parts) for parts in splits)
    assert distortion(values, kmeans(values, 3)) == pytest.approx(best)


def test_every_centroid_is_the_mean_of_what_is_nearest() -> None:
    values = np.random.default_rng(5).laplace(size=5000).astype(np.float32)
    centroids = kmeans(values, 31)
    index = nearest(values, centroids)
    assert [float(values[index == at].mean(dtype=np.float64)) for at in range(len(centroids))] == pytest.approx(
        centroids.tolist()
    )
    brute = np.abs(values[:, None].astype(np.float64) - centroids).argmin(1)
    assert (np.abs(values - centroids[index]) <= np.abs(values - centroids[brute]) + 1e-6).all()


def test_fewer_values_than_centroids() -> None:
    assert kmeans(np.array([2.0, 2.0, 2.0]), 4).tolist() == [2.0]
    assert kmeans(np.array([1.0, 2.0, 5.0]), 9).tolist() == [1.0, 2.0, 5.0]
    assert kmeans(np.array([7.0]), 1).tolist() == [7.0]


def test_the_order_does_not_matter() -> None:
    values = np.random.default_rng(1).standard_normal(300)
    assert kmeans(values[::-1], 8).tolist() == kmeans(values, 8).tolist()


def one_layer(weights: torch.Tensor) -> Subject:
    model = nn.Sequential(nn.Linear(weights.shape[1], weights.shape[0], bias=False))
    model[0].weight.data = weights
    return subject_of(model)


def nudge(subject: Subject, seed: int = 0) -> None:
    """As an optimizer's step: every weight goes its own way."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in subject.model.parameters():
        parameter.data += 0.01 * torch.randn(parameter.shape, generator=generator)
    subject.obey()


@pytest.mark.parametrize("bits", range(2, 9))
def test_so_many_values_and_zero_is_one_of_them(bits: int) -> None:
    torch.manual_seed(0)
    weights = torch.randn(64, 100)
    weights[weights.abs() < 0.5] = 0
    zeros = weights == 0
    subject = step(one_layer(weights.clone()), "share", bits=bits, scope="all", small=0)
    shared = subject.model[0].weight
    assert torch.equal(shared == 0, zeros)
    assert 0.6 * 2**bits <= len(shared.unique()) <= 2**bits
    assert len(shared[shared != 0].unique()) <= 2**bits - 1


def test_training_moves_a_cluster_to_its_mean() -> None:
    subject = step(one_layer(torch.tensor([[0.0, 1.0, 1.2], [5.0, 5.2, 0.0]])), "share", bits=2, scope="all", small=0)
    assert subject.model[0].weight.flatten().tolist() == pytest.approx([0, 1.1, 1.1, 5.1, 5.1, 0])
    subject.model[0].weight.data += torch.tensor([[9.0, 1.0, 2.0], [-1.0, 0.0, 9.0]])
    subject.obey()
    weight = subject.model[0].weight
    assert weight.flatten().tolist() == pytest.approx([0, 2.6, 2.6, 4.6, 4.6, 0])
    assert weight[0, 1] == weight[0, 2]


@pytest.mark.parametrize("table", ["layer", "global"])
def test_what_is_equal_stays_equal_to_the_bit(table: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(30, 20), nn.Conv2d(8, 8, 3, groups=8))
    subject = step(
        step(subject_of(model), "weights", ratio=0.5, scope="all"), "share", bits=3, table=table, scope="all", small=0
    )
    layers = prunable(model, "all").values()
    before = [layer.weight.clone() for layer in layers]
    nudge(subject)
    values = set()
    for layer, was in zip(layers, before, strict=True):
        assert torch.equal(layer.weight == 0, was == 0)
        assert not torch.equal(layer.weight, was)
        for value in was.unique():
            assert len(layer.weight[was == value].unique()) == 1
        values |= set(layer.weight.unique().tolist())
        assert len(layer.weight.unique()) <= 8
    assert (len(values) <= 8) == (table == "global")


def test_small_layers_are_shared_more_finely() -> None:
    subject = step(detector(), "share", bits=2, small=1000)
    for layer in prunable(subject.model, "all").values():
        distinct = len(layer.weight.unique())
        assert distinct <= 4 if layer.weight.numel() >= 1000 else distinct > 4 or layer.weight.numel() <= 4


def test_only_the_scope_is_shared() -> None:
    dense, subject = detector(), step(detector(), "share", scope="head")
    changed = {
        name for name, tensor in subject.model.state_dict().items() if not tensor.equal(dense.model.state_dict()[name])
    }
    assert changed == {f"{name}.weight" for name in prunable(dense.model, "head")}


def test_by_the_method_of_brute_force() -> None:
    torch.manual_seed(1)
    weights = torch.randn(3, 50)
    index = clusters([weights], 16)[0]
    means = torch.stack([weights[index == at].mean() for at in range(1, int(index.max()) + 1)])
    nearest = (weights[..., None] - means).abs().argmin(-1) + 1
    assert torch.equal(nearest, index.long())
    assert tied([weights], [index])[0].unique().tolist() == pytest.approx(means.tolist())


def test_stored_without_loss_and_at_its_entropy(tmp_path: Path) -> None:
    subject = step(detector(), "weights", ratio=0.6, scope="all")
    step(subject, "share", bits=5, small=0)
    path, manifest = tmp_path / "shared.pt", subject.manifest
    save_submission(
        subject.model,
        path,
        detector=manifest.detector.name,
        categories=manifest.categories,
        arguments=manifest.detector.arguments,
        codec=subject.codec,
    )
    archive = read_submission(path)
    bytes_, entropy = 0.0, 0.0
    for name in prunable(subject.model, "all"):
        weight = subject.model.get_submodule(name).weight
        assert torch.equal(archive.tensors[f"{name}.weight"], weight)
        if weight.numel() >= 4096:
            assert archive.records[f"{name}.weight"]["codec"] == "codebook"
            shares = np.unique(weight.detach().numpy(), return_counts=True)[1] / weight.numel()
            entropy += -(shares * np.log2(shares)).sum() * weight.numel() / 8
            bytes_ += archive.sizes[f"{name}.weight"]
    assert bytes_ < 1.03 * entropy


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"small": 5}, "weights of all shared by 2 bits, a table a layer, 8 bits in layers of fewer than 5 weights"),
        ({"small": 4}, "weights of all shared by 2 bits, a table a layer"),
        ({"small": 5, "table": "global"}, "weights of all shared by 2 bits, one table"),
        ({"small": 5, "bits": 8}, "weights of all shared by 8 bits, a table a layer"),
    ],
)
def test_finer_tables_of_small_layers_are_told(settings: dict[str, Any], said: str) -> None:
    subject = one_layer(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert step(subject, "share", **{"bits": 2, **settings}).history == [said]


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(4, eps=1e-3), FrozenBatchNorm2d(4, eps=0.0)])
def test_merged_norms_compute_the_same(norm: nn.Module) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            tensor.copy_(torch.randn(4))
        norm.running_var.copy_(torch.tensor([1e-6, 1e-2, 1.0, 50.0]))
    features = torch.randn(2, 4, 3, 3)
    before = norm.eval()(features)
    merge_statistics(norm)
    assert torch.allclose(norm(features), before, rtol=1e-4, atol=1e-5)
    assert norm.running_mean.tolist() == [0] * 4
    assert norm.running_var.tolist() == [1] * 4


def test_all_numbers_are_halves_and_equal_ones_stay_equal() -> None:
    subject = step(step(detector(), "share", bits=3, small=0), "code")
    weight = subject.model.head.classification_head.conv[0][1].weight
    assert len(weight.unique()) <= 8
    assert all(
        torch.equal(t, t.half().to(t.dtype)) for t in subject.model.state_dict().values() if t.is_floating_point()
    )
    assert subject.codec == "smallest"
    assert subject.records == {}


def test_without_halves_nothing_changes() -> None:
    subject = step(detector(), "code", half=False)
    dense = detector().model.state_dict()
    assert all(torch.equal(tensor, dense[name]) for name, tensor in subject.model.state_dict().items())


def test_what_a_codec_rounds_is_rounded_in_the_detector() -> None:
    subject = step(detector(), "code", half=False, codec="int8+huffman,fp16+huffman")
    dense = detector().model.state_dict()
    for name, tensor in subject.model.state_dict().items():
        assert torch.equal(decode(subject.records[name], name), tensor)
        assert torch.equal(decode(encode(dense[name], "int8+huffman,fp16+huffman"), name), tensor)


def test_an_unknown_codec_is_one_line() -> None:
    with refused("recipe/invalid", "codec", "'zip'"):
        step(detector(), "code", codec="zip,fp16")


def test_coding_takes_at_most_three_percent_more_than_the_entropy(tmp_path: Path) -> None:
    archive = read_submission(bundled("baselines/reference.pt"))
    subject = Subject(rebuild(archive, "reference.pt"), archive.manifest)
    step(subject, "weights", ratio=0.6, scope="all")
    step(subject, "share", bits=5)
    step(subject, "code")
    path = tmp_path / "small.pt"
    save(subject, path, parent="0" * 64)
    found = inspect_submission(path)
    assert found.tensors is not None
    assert found.parameters is not None
    coded = [tensor for tensor in found.tensors if "codebook" in tensor.codec]
    assert sum(tensor.elements for tensor in coded) > 0.9 * found.parameters
    assert sum(tensor.bytes for tensor in coded) <= 1.03 * sum(tensor.entropy_bytes or 0 for tensor in coded)
    assert sum(found.bytes_by_part.values()) == found.file_bytes == path.stat().st_size
    assert 4 * found.parameters > 10 * found.file_bytes


def test_the_bundled_file_takes_at_most_three_percent_more_than_the_entropy_of_all_it_holds() -> None:
    found = inspect_submission(bundled("baselines/reference-tiny.pt"))
    assert found.entropy_bytes is not None
    assert found.entropy_bytes < found.file_bytes <= 1.03 * found.entropy_bytes
