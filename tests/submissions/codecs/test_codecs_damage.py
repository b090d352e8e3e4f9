"""Damaged and lying records: refused in one line, or decoded to what they promise, and never more memory than that."""

import io
import json
import random
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refused

from wildbench.errors import SubmissionError
from wildbench.resources import bundled
from wildbench.submissions.archive._archive import lay_out, read_back, read_submission, stored_records
from wildbench.submissions.archive._container import LARGEST_TEXT, read_content
from wildbench.submissions.codecs.chains import decode, encode, promise
from wildbench.submissions.codecs.packing import deflate, inflate
from wildbench.submissions.source import Source

CHAINS = (
    "raw",
    "fp16",
    "int8",
    "int4+sparse",
    "codebook",
    "codebook+sparse+huffman",
    "fp16+sparse+huffman",
    "int8+huffman",
    "huffman",
    "sparse:4x4",
)
WAYS = ("raw", "fp16", "packed", "huffman", "codebook", "affine", "sparse")
MANIFEST = {"name": "a", "detector": {"name": "fcos_efficientnet_lite0_fpn"}, "categories": ["zebra"]}


def example() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(11, generator=generator)
    values = table[torch.randint(11, (24, 30, 3, 3), generator=generator)]
    return values * (torch.rand(values.shape, generator=generator) > 0.7)


def records() -> dict[str, dict]:
    return {chain: encode(example(), chain) for chain in CHAINS}


def octets(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.uint8)


CODES = {"codec": "packed", "shape": [4], "bits": 2, "data": octets(36)}
TABLE = {"codec": "codebook", "dtype": "float32", "shape": [4], "codebook": torch.ones(3), "indices": CODES}
AFFINE = {
    "codec": "affine", "dtype": "float32", "shape": [4], "bits": 2, "axis": None,
    "scale": torch.ones(1), "zero_point": octets(0), "codes": CODES,
}  # fmt: skip
SPARSE = {
    "codec": "sparse", "dtype": "float32", "shape": [4], "block": [1, 1],
    "mask": {"codec": "packed", "shape": [4], "bits": 1, "data": octets(5)},
    "values": {"codec": "raw", "values": torch.ones(2)},
}  # fmt: skip
HUFFMAN = {
    "codec": "huffman",
    "dtype": "uint8",
    "shape": [30],
    "bits": 8,
    "lengths": [5],
    "data": octets(99, 100, 192, 7, 0),
}


@pytest.mark.parametrize("record", [TABLE, AFFINE, SPARSE, HUFFMAN, CODES], ids=lambda record: record["codec"])
def test_the_records_below_are_sound_before_they_are_spoilt(record: dict) -> None:
    assert list(decode(record, "").shape) == record["shape"]


def test_a_record_that_lies_is_refused() -> None:
    for record in (
        {"codec": "int3", "values": torch.zeros(1)},
        {"values": torch.zeros(1)},
        torch.zeros(1),
        {"codec": ["raw"]},
        {"codec": "raw"},
        {"codec": "raw", "values": 3},
        {"codec": "raw", "values": torch.zeros(2, 2).to_sparse()},
        {"codec": "raw", "values": torch.zeros(1).expand(2**20)},
        {"codec": "raw", "values": torch.zeros(2, 3).t()},
        {"codec": "fp16", "values": torch.zeros(1).half()},
        {"codec": "fp16", "dtype": "int64", "values": torch.zeros(1).half()},
        {"codec": "fp16", "dtype": "float32", "values": torch.zeros(1)},
        {"codec": "fp16", "dtype": "float32", "values": {"codec": "fp16"}},
        CODES | {"shape": [5]},
        CODES | {"shape": [2]},
        CODES | {"shape": [-4]},
        CODES | {"shape": [True, 4]},
        CODES | {"shape": [2**14, 2**14, 2**14]},
        CODES | {"shape": [1] * 9},
        CODES | {"bits": 9},
        CODES | {"bits": 2.0},
        CODES | {"data": octets(36).char()},
        CODES | {"data": octets(36)[None]},
        HUFFMAN | {"shape": [31]},
        HUFFMAN | {"shape": [29]},
        HUFFMAN | {"lengths": [4]},
        HUFFMAN | {"lengths": [9, -4]},
        HUFFMAN | {"lengths": [-5]},
        HUFFMAN | {"dtype": "float32", "shape": [7]},
        HUFFMAN | {"dtype": "complex64"},
        HUFFMAN | {"data": octets(255, 255, 255, 255, 255)},
        TABLE | {"codebook": torch.ones(2)},
        TABLE | {"codebook": torch.ones(0)},
        TABLE | {"codebook": torch.ones(257)},
        TABLE | {"codebook": torch.ones(3).int()},
        TABLE | {"shape": [2, 2]},
        TABLE | {"indices": TABLE},
        AFFINE | {"scale": torch.tensor([float("nan")])},
        AFFINE | {"scale": torch.tensor([float("inf")])},
        AFFINE | {"scale": torch.tensor([-1.0])},
        AFFINE | {"scale": torch.ones(2)},
        AFFINE | {"axis": 0},
        AFFINE | {"axis": 1},
        AFFINE | {"zero_point": octets(4)},
        AFFINE | {"bits": 1},
        AFFINE | {"codes": CODES | {"bits": 4, "data": octets(0, 250)}},
        SPARSE | {"values": {"codec": "raw", "values": torch.ones(3)}},
        SPARSE | {"values": {"codec": "raw", "values": torch.ones(2).double()}},
        SPARSE | {"mask": CODES},
        SPARSE | {"mask": CODES | {"shape": [3], "data": octets(4)}},
        SPARSE | {"block": [1, 0]},
        SPARSE | {"block": [1]},
        SPARSE | {"values": SPARSE},
    ):  # fmt: skip
        with pytest.raises(SubmissionError) as caught:
            decode(record, "f.pt: w")  # type: ignore[arg-type]
        known = isinstance(record, dict) and record.get("codec") in WAYS
        assert caught.value.code == f"submission/{'damaged-record' if known else 'unknown-codec'}", record
        assert str(caught.value).startswith("f.pt: w: ")
        assert "\n" not in str(caught.value)


def test_a_bomb_makes_no_more_than_it_promises() -> None:
    bomb = deflate(bytes(2**24))
    assert len(bomb) < 2**16
    for size in (2**20, 2**24 - 1, 2**24 + 1):
        with pytest.raises(ValueError, match="not the code of"):
            inflate(bomb, size)
    assert len(inflate(bomb, 2**24)) == 2**24
    with refused("submission/damaged"):
        read_back(zlib.compress(b" " * (LARGEST_TEXT + 1)), octets(), "f.pt")


ONE = {"tensor": "uint8", "shape": [1]}
INDEX = {"w": {"codec": "raw", "values": {"tensor": "float32", "shape": [2]}}}


@pytest.mark.parametrize(
    ("index", "data"),
    [
        (INDEX, octets(*range(7))),
        (INDEX, octets(*range(9))),
        ([INDEX], octets(*range(8))),
        ({"w": 3}, octets()),
        ({"w": {"values": {"tensor": "float32"}}}, octets()),
        ({"w": {"values": {"tensor": "float33", "shape": [0]}}}, octets()),
        ({"w": {"values": {"tensor": "bool", "shape": [1]}}}, octets(2)),
        ({"w": {"values": {"tensor": "uint8", "shape": [1], "same": 0}}}, octets()),
        ({"w": {"a": ONE, "b": ONE | {"same": -1}}}, octets(1)),
        ({"w": {"a": ONE, "b": {"tensor": "uint8", "shape": [2], "same": 0}}}, octets(1)),
    ],
)  # fmt: skip
def test_an_index_that_lies_is_refused(index: object, data: torch.Tensor) -> None:
    with refused("submission/damaged"):
        read_back(zlib.compress(json.dumps(index).encode()), data, "f.pt")
    read_back(zlib.compress(json.dumps(INDEX).encode()), octets(*range(8)), "f.pt")


STRANGE = (
    -1,
    0,
    1,
    3,
    255,
    2**31,
    2**40,
    2**70,
    0.5,
    1e300,
    float("nan"),
    None,
    True,
    "",
    "float32",
    [],
    [2**20] * 3,
    {},
)


def spoil(value: Any, chance: random.Random) -> Any:
    """The same plain data with one thing in it changed, dropped or doubled."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        if chance.random() < 0.1:
            return {name: inner for name, inner in value.items() if name != key}
        return {name: spoil(inner, chance) if name == key else inner for name, inner in value.items()}
    if isinstance(value, list) and value and chance.random() < 0.7:
        place = chance.randrange(len(value))
        return [spoil(inner, chance) if at == place else inner for at, inner in enumerate(value)]
    return chance.choice(STRANGE)


def flipped(data: bytes, chance: random.Random) -> bytes:
    """Some bits flipped, or the end cut off, or something added."""
    whole = bytearray(data)
    if chance.random() < 0.15:
        return bytes(whole[: chance.randrange(len(whole))])
    if chance.random() < 0.05:
        return bytes(whole) + chance.randbytes(chance.randrange(1, 40))
    for _ in range(chance.choice((1, 1, 2, 8))):
        whole[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
    return bytes(whole)


def check(message: str) -> None:
    """One short line, and not because memory ran out."""
    assert "\n" not in message
    assert len(message) < 600
    assert "alloc" not in message


def attempt(index: bytes, data: torch.Tensor) -> bool:
    """Whether it was refused; else all is as promised."""
    try:
        found, _ = read_back(index, data, "f.pt")
        for name, record in found.items():
            shape, dtype = promise(record, name)
            tensor = decode(record, name)
            assert (tuple(tensor.shape), tensor.dtype) == (shape, dtype)
    except SubmissionError as error:
        check(str(error))
        return True
    return False


def attack_records(rounds: int) -> tuple[int, int]:
    """Flip bits of indexes and of tensors; how many were refused and how many decoded."""
    refused = 0
    whole = {chain: lay_out({chain: record}) for chain, record in records().items()}
    for seed in range(rounds):
        chance = random.Random(seed)
        index, data = whole[chance.choice(CHAINS)]
        plain = json.loads(zlib.decompress(index))
        kind = chance.random()
        if kind < 0.5:
            index = zlib.compress(json.dumps(spoil(plain, chance)).encode())
        elif kind < 0.6:
            index = flipped(index, chance)
        else:
            data = torch.from_numpy(np.frombuffer(flipped(data.numpy().tobytes(), chance), np.uint8).copy())
        refused += attempt(index, data)
    return refused, rounds - refused


def archive() -> bytes:
    index, data = lay_out(records())
    whole = torch.cat([torch.from_numpy(np.frombuffer(index, np.uint8).copy()), data])
    keys = {"manifest": MANIFEST, "groups": {}, "index": len(index), "tensors": whole}
    buffer = io.BytesIO()
    torch.save({"format": "wildbench-submission", "version": 2, **keys}, buffer)
    return buffer.getvalue()


def read(path: Path) -> dict[str, dict]:
    """The records of a file, not decoded."""
    source = Source.read(path)
    return stored_records(read_content(source), source)[0]


def resealed(data: bytes, chance: random.Random) -> bytes:
    """The same archive with one entry's content flipped, and check sums that fit it: what a liar would write."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        victim = chance.choice(["data.pkl", "data.pkl", "data.pkl", "data/0", "version", "byteorder"])
        for entry in old.infolist():
            content = old.read(entry)
            name = entry.filename.partition("/")[2]
            new.writestr(entry.filename, flipped(content, chance) if name == victim else content)
    return buffer.getvalue()


def attack_files(folder: Path, rounds: int) -> tuple[int, int]:
    """Flip bits of whole files, and of the entries in them."""
    sound, refused = archive(), 0
    for seed in range(rounds):
        chance = random.Random(seed)
        path = folder / "a.pt"
        path.write_bytes(flipped(sound, chance) if seed % 3 == 0 else resealed(sound, chance))
        try:
            for name, record in read(path).items():
                decode(record, name)
        except SubmissionError as error:
            check(str(error))
            refused += 1
    return refused, rounds - refused


def attack_memory(folder: Path) -> tuple[int, int]:
    """A file of 8 MB with 4,000 tensors that are all the same 8 MB, under such names as its detector has not."""
    claimed = {"tensor": "float32", "shape": [2**21]}
    index = {"w": {"codec": "raw", "values": claimed}}
    index |= {f"w{k}": {"codec": "raw", "values": claimed | {"same": 0}} for k in range(4000)}
    text = zlib.compress(json.dumps(index).encode())
    tensors = torch.cat([octets(*text), torch.zeros(2**23, dtype=torch.uint8)])
    whole = torch.load(bundled("baselines/reference-tiny.pt"), weights_only=True)
    keys = {"manifest": whole["manifest"], "groups": {}, "index": len(text), "tensors": tensors}
    torch.save({"format": "wildbench-submission", "version": 2, **keys}, folder / "a.pt")
    with refused("submission/tensors") as caught:
        read_submission(folder / "a.pt")
    check(str(caught.value))
    return 1, 0


def attack_shortage() -> tuple[int, int]:
    """More memory than there is: for one tensor's promise, and for a file's bytes."""
    large = {"codec": "huffman", "dtype": "float64", "shape": [2**28], "bits": 8, "lengths": [1] * 8}
    with refused("submission/damaged-record") as first:
        decode(large | {"data": octets(*range(8))}, "f.pt: w")
    index = {"w": {"codec": "raw", "values": {"tensor": "float32", "shape": [40 * 2**20]}}}
    with refused("submission/damaged") as second:
        read_back(zlib.compress(json.dumps(index).encode()), torch.zeros(160 * 2**20, dtype=torch.uint8), "f.pt")
    assert not any("\n" in str(caught.value) for caught in (first, second))
    return 2, 0


def limited(call: str, *arguments: object) -> tuple[int, int]:
    """Run an attack in a process that may take 256 MB of memory more than its libraries do."""
    code = (
        "import resource, psutil, sys, pathlib, test_codecs_damage as attacks\n"
        "attacks.records()\n"
        "limit = psutil.Process().memory_info().data + 256 * 2**20\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))\n"
        f"print(*attacks.{call}(*{arguments!r}))\n"
    ).replace("PosixPath", "pathlib.PosixPath")
    environment = {
        "PYTHONPATH": ":".join(str(Path(__file__).parents[up]) for up in (0, 2, 3)),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=110, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    refused, decoded = map(int, done.stdout.split())
    return refused, decoded


needs_limits = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts all memory on Linux only")


@needs_limits
def test_flipped_records_are_refused_or_decode_to_their_promise_in_little_memory() -> None:
    refused, decoded = limited("attack_records", 2500)
    assert refused > 800
    assert decoded > 300


@needs_limits
def test_bytes_that_are_claimed_again_and_again_take_memory_once(tmp_path: Path) -> None:
    assert limited("attack_memory", tmp_path) == (1, 0)


@needs_limits
def test_too_little_memory_is_told_in_one_line() -> None:
    assert limited("attack_shortage") == (2, 0)


@needs_limits
def test_flipped_files_are_refused_or_read_in_little_memory(tmp_path: Path) -> None:
    refused, _ = limited("attack_files", tmp_path, 500)
    assert refused > 300


def test_every_flipped_bit_of_a_file_is_noticed(tmp_path: Path) -> None:
    """But for those of the zip's own fields that nobody reads: the check sums cover all else."""
    sound, path = archive(), tmp_path / "a.pt"
    path.write_bytes(sound)
    expected = read(path)
    for seed in range(60):
        chance = random.Random(seed)
        whole = bytearray(sound)
        whole[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(whole))
        try:
            records = read(path)
        except SubmissionError:
            continue
        assert all(torch.equal(decode(r, n), decode(expected[n], n)) for n, r in records.items())


def test_an_archive_that_lies_is_refused(tmp_path: Path) -> None:
    for make, code in (
        (lambda whole: whole | {"index": 2**40}, "incomplete"),
        (lambda whole: whole | {"index": -1}, "incomplete"),
        (lambda whole: whole | {"tensors": whole["tensors"].float()}, "incomplete"),
        (lambda whole: whole | {"tensors": torch.zeros(1, dtype=torch.uint8).expand(2**40)}, "damaged"),
        (lambda whole: whole | {"groups": {"head": -1}}, "incomplete"),
        (lambda whole: whole | {"manifest": torch.nn.Parameter(torch.zeros(1))}, "pickled-object"),
        (lambda whole: whole | {"format": ["x"] * 10**4}, "not-a-submission"),
        (lambda whole: whole | {"version": True}, "newer-version"),
    ):
        torch.save(make(torch.load(io.BytesIO(archive()), weights_only=True)), tmp_path / "a.pt")
        with refused(f"submission/{code}"):
            read(tmp_path / "a.pt")


def test_what_torch_would_load_but_is_no_plain_tensor_is_refused(tmp_path: Path) -> None:
    """`torch.Tensor(10 ** 10)` may be unpickled with weights_only, and takes 40 GB."""

    class Greedy:
        def __reduce__(self) -> tuple:
            return torch.Tensor, (10**10,)

    torch.save({"format": "wildbench-submission", "version": 1, "manifest": MANIFEST, "x": Greedy()}, tmp_path / "a.pt")
    with refused("submission/pickled-object"):
        read(tmp_path / "a.pt")
