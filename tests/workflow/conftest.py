"""A tiny project in a temporary folder: the real Snakefile, a few seconds of work."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
HANGS_S = 1200  # a run takes half a minute, on a machine that others load many times that
LINKED = ("Snakefile", "workflow", "profiles", "environment.yml")
MANIFEST = {
    "name": "tiny",
    "title": "Tiny demo videos",
    "layout": "got10k",
    "root": "data/tiny",
    "licence": "Apache-2.0",
    "splits": {"train": {"folder": "train"}, "val": {"folder": "val"}},
    "generate": {
        "train_videos": 8,
        "val_videos": 1,
        "frames": 12,
        "width": 160,
        "height": 120,
        "seed": 3,
    },
}
CONFIG = {
    "datasets": {"tiny": {"manifest": "data_manifests/tiny.yaml"}},
    "proposals": {"random": {"count": 1000}, "shard_frames": 16},
    "top_maps": {"shard_frames": 16, "map_size": 16},
    "patches": {"size": 160, "shard_frames": 32},
    "models": {
        "socl_siam": {
            "window": 127,
            "videos_per_batch": 3,
            "epochs": 4,
            "lr_decay_epochs": [3],
            "validate_every": 2,
            "checkpoint_minutes": 0,
            "validation_videos": 0.25,
        }
    },
    "trackers": {
        "socl_siam": {"kind": "siamfc", "model": "socl_siam"},
        "kcf": {"kind": "opencv", "name": "kcf"},
    },
    "benchmarks": {
        "tiny_val": {"manifest": "data_manifests/tiny.yaml", "split": "val", "convention": "drop"}
    },
    "report": {"examples": 2},
}


class Project:
    """A folder with the workflow in it, and Snakemake to run there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path) -> "Project":
        folder.mkdir(parents=True)
        for name in LINKED:
            (folder / name).symlink_to(ROOT / name)
        for name in ("local", "slurm"):  # as the repository has them
            (folder / name).symlink_to(Path("profiles") / name)
        (folder / "data_manifests").mkdir()
        (folder / "data_manifests/tiny.yaml").write_text(yaml.safe_dump(MANIFEST))
        (folder / "config").mkdir()
        project = cls(folder)
        project.configure(CONFIG)
        return project

    def copy(self, folder: Path) -> "Project":
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def configure(self, config: dict) -> None:
        (self.folder / "config/demo.yaml").write_text(yaml.safe_dump(config))

    def edit(self, change: Callable[[dict], None]) -> None:
        config = yaml.safe_load((self.folder / "config/demo.yaml").read_text())
        change(config)
        self.configure(config)

    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONDONTWRITEBYTECODE": ""}

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake to its end; its jobs die with it if it hangs or the test is stopped."""
        process = subprocess.Popen(
            ["snakemake", *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=HANGS_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def run(self, *arguments: str) -> str:
        result = self.snakemake("--profile", "local", *(arguments or ("all",)))
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    def planned(self) -> dict[str, int]:
        """Return how many jobs of each rule a run would do now."""
        text = self.run("all", "-n")
        counts = re.findall(r"^(\w+) +(\d+)$", text, re.M)
        return {rule: int(n) for rule, n in counts if rule not in ("all", "total")}

    def digest(self, artifact: str) -> str:
        path = self.folder / "results/tiny" / f"{artifact}.summary.json"
        return str(json.loads(path.read_text())["digest"])

    def kill_when(self, pattern: str, *arguments: str) -> None:
        """Start Snakemake and SIGKILL it and all its children once a file matches."""
        process = subprocess.Popen(
            ["snakemake", "--profile", "local", *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 200
        while not any(self.folder.glob(pattern)):
            assert process.poll() is None, f"the run ended before {pattern} appeared"
            assert time.monotonic() < deadline, f"{pattern} never appeared"
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which `snakemake --profile local all` has run; tests work on copies."""
    project = Project.create(tmp_path_factory.mktemp("workflow") / "finished")
    project.run()
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project."""
    return finished.copy(tmp_path / "project")


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A project in which nothing has run."""
    return Project.create(tmp_path / "fresh")


@pytest.fixture(scope="session")
def new_project() -> Callable[[Path], Project]:
    """A function that makes a project in a new folder."""
    return Project.create
