import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from wildbench.curation.database import running
from wildbench.errors import CurationError

HOLD = """
import os, sys
from pathlib import Path
from wildbench.curation.app import App
from wildbench.curation.database import running
with running(Path(sys.argv[1])), App(Path(sys.argv[1]), 0):
    print(os.environ["FIFTYONE_DATABASE_URI"], flush=True)
    sys.stdin.read()
"""


def servers(folder: Path) -> list[psutil.Process]:
    """The MongoDB servers that this process or one that it started has started, and that have a folder open."""
    data = str(folder / "mongo")
    return [p for p in psutil.Process().children(recursive=True) if p.name() == "mongod" and data in p.cmdline()]


def test_the_server_is_real_and_open_to_this_machine_alone(database: None, review_folder: Path) -> None:
    import fiftyone

    (server,) = servers(review_folder)
    assert fiftyone.core.odm.get_db_conn().client.server_info()["version"].startswith("6.")
    assert [c.laddr.ip for c in server.net_connections("tcp") if c.status == psutil.CONN_LISTEN] == ["127.0.0.1"]


def test_nothing_is_sent_out_or_kept_elsewhere(database: None, review_folder: Path) -> None:
    import fiftyone

    assert fiftyone.config.do_not_track
    for place in (fiftyone.config.default_dataset_dir, fiftyone.config.model_zoo_dir, fiftyone.config.plugins_dir):
        assert Path(place).is_relative_to(review_folder)


def test_another_process_joins_and_its_violent_end_leaves_the_server_of_the_first(
    database: None, review_folder: Path
) -> None:
    import fiftyone

    (server,) = servers(review_folder)
    command = [sys.executable, "-c", HOLD, str(review_folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == fiftyone.config.database_uri
        other.kill()
    assert servers(review_folder) == [server]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_the_servers_end_with_the_process_that_started_them(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    heeding = partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests by nohup hands on none
    with subprocess.Popen(command, start_new_session=True, text=True, preexec_fn=heeding, **pipes) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline().startswith("mongodb://127.0.0.1:")
        started = psutil.Process(owner.pid).children(recursive=True)
        assert len(started) >= 3
        assert servers(tmp_path)[0] in started
        if name == "SIGKILL":
            owner.kill()
        else:
            os.killpg(owner.pid, getattr(signal, name))  # as a terminal and a batch system do: to all of a group
    assert psutil.wait_procs(started, timeout=60)[1] == []


def test_a_folder_that_cannot_be_a_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "mongo").mkdir()
    (tmp_path / "mongo" / "storage.bson").write_text("not one")
    with pytest.raises(CurationError, match=r"mongod\.log"), running(tmp_path):
        pass
