"""A real SLURM of two nodes on this machine: whole stages as jobs, and Dask workers as jobs."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scancel", "squeue", "sinfo")
PATH_WITH_DAEMONS = os.environ["PATH"] + ":/usr/sbin"
MISSING = [name for name in PROGRAMS if shutil.which(name, path=PATH_WITH_DAEMONS) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"SLURM is not installed: no {', '.join(MISSING)}"),
]
TARGET = "results/tiny/top_maps.zarr"
LEDGER = "work/cache/top_maps/*/top_maps.zarr/ledger/c/*/0"  # what finishes a shard
# a cluster without accounting, and nodes of two cores
OPTIONS = ("--profile", "slurm", "--slurm-no-account", "--slurm-status-command", "squeue")
OPTIONS += ("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10")
OPTIONS += ("--set-threads", "proposals=2", "top_maps=2")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A cluster whose commands come first in PATH."""
    folder = tmp_path_factory.mktemp("slurm")
    script = Path(__file__).with_name("start_slurm.sh")
    started = subprocess.run([script, folder], capture_output=True, text=True, timeout=100)
    if started.returncode:
        pytest.skip(f"SLURM does not start here: {started.stderr.strip()[-300:]}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
        yield folder
        subprocess.run([folder / "stop.sh"], timeout=60, check=True)


@pytest.fixture(scope="module")
def built(slurm, new_project, tmp_path_factory):
    """A project whose top_maps were built as one job with Dask inside, and its digest."""
    project = new_project(tmp_path_factory.mktemp("project") / "project")
    result = project.snakemake(TARGET, *OPTIONS)
    assert result.returncode == 0, result.stdout + result.stderr
    return project, project.digest("top_maps"), result.stdout + result.stderr


@pytest.fixture
def unbuilt(built, tmp_path):
    """A copy of it without the top_maps."""
    project = built[0].copy(tmp_path / "project")
    shutil.rmtree(project.folder / "work/cache/top_maps")
    for path in project.folder.glob("results/tiny/top_maps.*"):
        path.unlink()
    return project


def jobs():
    """Return the names of the jobs that wait or run."""
    command = ["squeue", "--noheader", "--states=PD,R", "--format=%j"]
    return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.split()


def test_a_stage_as_one_job_gives_what_a_local_run_gives(built, unbuilt):
    _, digest, log = built
    assert re.search(r"socl top_maps .*--workers 2 --dask processes --memory-mb 3000", log)
    assert "has been submitted with SLURM jobid" in log
    command = ["socl", "top_maps", "--dataset", "tiny", "--dask", "none"]
    subprocess.run(command, cwd=unbuilt.folder, check=True, capture_output=True)
    assert unbuilt.digest("top_maps") == digest


def test_dask_workers_as_jobs_of_their_own(built, unbuilt):
    command = ["snakemake", TARGET, *OPTIONS[:-2], "top_maps=1", "--set-resources"]
    command += ["top_maps:dask=slurm", "top_maps:workers=2"]
    process = subprocess.Popen(
        command, cwd=unbuilt.folder, env=unbuilt.environment(), stderr=subprocess.DEVNULL
    )
    most = 0
    while process.poll() is None:
        most = max(most, jobs().count("dask-worker"))
        time.sleep(0.5)
    assert process.returncode == 0
    assert most == 2
    assert unbuilt.digest("top_maps") == built[1]
    wait_for_no_jobs()


def test_a_cancelled_job_goes_on_where_it_was(built, unbuilt):
    process = subprocess.Popen(
        ["snakemake", TARGET, *OPTIONS, "--retries", "0"],
        cwd=unbuilt.folder,
        env=unbuilt.environment(),
        stderr=subprocess.DEVNULL,
    )
    while not list(unbuilt.folder.glob(LEDGER)):
        assert process.poll() is None
        time.sleep(0.05)
    subprocess.run(["scancel", "--user", str(os.geteuid())], check=True, timeout=20)
    wait_for_no_jobs()
    kept = {path: path.stat().st_mtime_ns for path in unbuilt.folder.glob(LEDGER)}
    assert 0 < len(kept) < 6, "the cancel came too late to test anything"
    assert process.wait(timeout=200) == 1
    result = unbuilt.snakemake(TARGET, *OPTIONS)
    assert result.returncode == 0, result.stdout + result.stderr
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert unbuilt.digest("top_maps") == built[1]


def wait_for_no_jobs():
    deadline = time.monotonic() + 90
    while jobs():
        assert time.monotonic() < deadline, "jobs were left behind"
        time.sleep(0.5)
