"""However the images are divided, repeated and killed, the merge has the same bytes, or says what is wrong."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from distributed.noise import answer, job, worker
from refusals import refused

from wildbench.datasets.predictions import Detections
from wildbench.distributed import NOTHING, Row, Shard, merge, run_shard, shard_of_environment, write_merged
from wildbench.distributed._parts import part_files, write_part
from wildbench.errors import JobError, OutputError

NOISE = Path(__file__).with_name("noise.py")


def detected(folder: Path, count: int, shards: int = 1, order: random.Random | None = None) -> None:
    mine, images = job(count)
    turns = list(range(1, shards + 1))
    if order:
        order.shuffle(turns)
    for index in turns:
        run_shard(mine, images, folder, [partial(worker, images)], shard=Shard(index, shards))


def merged_bytes(folder: Path, name: str = "merged.json") -> bytes:
    out = folder.parent / name
    write_merged(merge([folder]), out)
    return out.read_bytes()


@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_any_number_of_shards_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    order = random.Random(5)
    results = []
    for shards in (1, 2, 7, 64):
        detected(tmp_path / f"{shards}", 130, shards, order)
        results.append(merged_bytes(tmp_path / f"{shards}", f"{shards}.{suffix}"))
    assert len(set(results)) == 1
    assert len(results[0]) > 1000


def test_several_workers_give_what_one_gives(tmp_path: Path) -> None:
    mine, images = job(200)
    run_shard(mine, images, tmp_path / "three", [partial(worker, images)] * 3)
    detected(tmp_path / "one", 200)
    assert merged_bytes(tmp_path / "three") == merged_bytes(tmp_path / "one")


def test_processes_killed_at_random_points_and_run_again_lose_nothing(tmp_path: Path) -> None:
    detected(tmp_path / "whole", 2000)
    chance = random.Random(7)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for shard in ("1/2", "2/2"):
        command = [sys.executable, str(NOISE), str(tmp_path / "killed"), shard, "2000"]
        for _ in range(2):
            process = subprocess.Popen(command, env=environment)
            until = time.monotonic() + chance.uniform(0.3, 1.2)
            while time.monotonic() < until and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
        subprocess.run(command, env=environment, check=True)
    assert merged_bytes(tmp_path / "killed") == merged_bytes(tmp_path / "whole")


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    mine, images = job(50)
    detected(tmp_path, 50, shards=2)

    def never(places: Iterator[int]) -> Iterator[Row]:
        assert not list(places)
        yield from ()

    ran = run_shard(mine, images, tmp_path, [never])
    assert (ran.images, ran.before, ran.failed) == (50, 50, 0)


def test_an_answer_beats_a_failure_and_a_failure_is_counted(tmp_path: Path) -> None:
    mine, images = job(3)
    images.write(tmp_path, mine)
    failure = Row(1, NOTHING, error="b.jpg: truncated")
    write_part(tmp_path, mine, images, [answer(images, 0), failure, replace(failure, place=2)])
    write_part(tmp_path, mine, images, [answer(images, 1)])
    merged = merge([tmp_path])
    assert merged.failed == {2: "b.jpg: truncated"}
    assert set(merged.detections.image_ids.tolist()) <= {10, 11}
    out = tmp_path / "out" / "p.json"
    write_merged(merged, out)
    assert out.with_name("p.unanswered.csv").read_text() == "file_name,reason\n000002.jpg,b.jpg: truncated\n"


def test_equal_answers_collapse_and_unequal_ones_name_both_parts(tmp_path: Path) -> None:
    mine, images = job(4)
    images.write(tmp_path, mine)
    rows = [answer(images, place) for place in range(4)]
    first, second = (write_part(tmp_path, mine, images, rows) for _ in range(2))
    assert merge([tmp_path]).repeated == 4
    other = Detections([images.ids[3]], [1], [[1, 1, 2, 2]], scores=[0.5])
    third = write_part(tmp_path, mine, images, [replace(rows[3], detections=other)])
    with refused("job/answers-differ", "000003.jpg", third.name, kind=JobError) as caught:
        merge([tmp_path])
    assert any(one.name in str(caught.value) for one in (first, second))


def test_missing_images_are_listed(tmp_path: Path) -> None:
    mine, images = job(9)
    run_shard(mine, images, tmp_path, [partial(worker, images)], shard=Shard(1, 3))
    with refused("job/images-missing", "6 of 9", "000001.jpg", kind=JobError):
        merge([tmp_path])
    assert merge([tmp_path], partial=True).missing == [1, 2, 4, 5, 7, 8]


def test_parts_of_another_job_are_refused(tmp_path: Path) -> None:
    detected(tmp_path / "a", 5)
    other, images = job(5, submission="bb")
    with refused("job/other-job", "submission", kind=JobError):
        run_shard(other, images, tmp_path / "a", [partial(worker, images)])
    run_shard(other, images, tmp_path / "b", [partial(worker, images)])
    with refused("job/other-job", "submission", kind=JobError):
        merge([tmp_path / "a", tmp_path / "b"])
    shutil.copy(part_files(tmp_path / "b")[0], tmp_path / "a")
    with refused("job/other-job", kind=JobError):
        merge([tmp_path / "a"])


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_a_damaged_part_is_named(tmp_path: Path, damage: str) -> None:
    detected(tmp_path, 20)
    (part,) = part_files(tmp_path)
    part.write_bytes({"truncated": part.read_bytes()[:-9], "empty": b"", "text": b"hello"}[damage])
    with refused("job/part-damaged", part.name, kind=JobError):
        merge([tmp_path])
    mine, images = job(20)
    with refused("job/part-damaged", part.name, kind=JobError):
        run_shard(mine, images, tmp_path, [partial(worker, images)])


def test_a_folder_without_a_job_is_named(tmp_path: Path) -> None:
    with refused("job/no-job", str(tmp_path), kind=JobError):
        merge([tmp_path])


def test_a_full_disk_is_one_line_and_leaves_no_half_part(tmp_path: Path) -> None:
    """A file system of 64 kB, in a name space of its own."""
    command = f"""
import sys; sys.path[:0] = {sys.path!r}
from functools import partial
from pathlib import Path
from distributed.noise import job, worker
from wildbench.distributed import run_shard
from wildbench.errors import WildbenchError
mine, images = job(4000)
try:
    run_shard(mine, images, Path({str(tmp_path)!r}) / "out", [partial(worker, images)])
except WildbenchError as error:
    print(error.code)
print(sorted(path.suffix for path in (Path({str(tmp_path)!r}) / "out").glob(".*")))
"""
    apart = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no name spaces here")
    mounted = 'mount -t tmpfs -o size=96k none "$1" && exec "$2" -c "$3"'
    whole = [*apart, "sh", "-c", mounted, "sh", str(tmp_path), sys.executable, command]
    ran = subprocess.run(whole, capture_output=True, text=True, check=False)
    assert ran.stdout.split("\n")[:2] == ["output/not-written", "[]"], ran.stderr


def test_a_worker_that_raises_ends_the_run_and_what_was_answered_is_kept(tmp_path: Path) -> None:
    mine, images = job(40)

    def breaks(places: Iterator[int]) -> Iterator[Row]:
        for place in places:
            if place == 25:
                raise OutputError("the detector is gone", code="gone")
            yield answer(images, place)

    with refused("output/gone", kind=OutputError):
        run_shard(mine, images, tmp_path, [breaks])
    assert run_shard(mine, images, tmp_path, [partial(worker, images)]).before == 25


def test_shards_come_from_the_scheduler() -> None:
    slurm = {"SLURM_ARRAY_TASK_ID": "14", "SLURM_ARRAY_TASK_MIN": "10", "SLURM_ARRAY_TASK_COUNT": "4"}
    assert shard_of_environment(slurm | {"SLURM_ARRAY_TASK_STEP": "2"}) == (Shard(3, 4), "a SLURM array")
    assert shard_of_environment({"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "2"})[0] == Shard(1, 2)
    assert shard_of_environment({}) == (Shard(), "")
    for wrong in ({"JOB_COMPLETION_INDEX": "0"}, {"RANK": "2", "WORLD_SIZE": "2"}, {"RANK": "x", "WORLD_SIZE": "2"}):
        with refused("job/bad-shard", kind=JobError):
            shard_of_environment(wrong)
    for text in ("0/3", "4/3", "1", "a/b", "-1/2"):
        with refused("job/bad-shard", text, kind=JobError):
            Shard.parse(text)
    covered = np.sort(np.concatenate([Shard(index, 7).places(100) for index in range(1, 8)]))
    assert covered.tolist() == list(range(100))
