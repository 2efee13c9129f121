"""What is wrong is said in one sentence, before any job starts."""

import re

import pytest
import yaml

from socl_pipeline.datasets.manifest import load_manifest


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c["top_maps"].update(nsm=0.6), r"unknown key 'top_maps.nsm': .*'nms'"),
        (lambda c: c["models"]["socl_siam"].update(epochs="many"), r"models.socl_siam.epochs: .*"),
        (
            lambda c: c["datasets"]["tiny"].update(manifest="data_manifests/tny.yaml"),
            r"data_manifests/tny.yaml: no such manifest",
        ),
        (
            lambda c: c["trackers"]["socl_siam"].update(model="socl_sam"),
            r"there is no model 'socl_sam': did you mean 'socl_siam'\?",
        ),
    ],
)
def test_a_bad_config_is_one_sentence(fresh, change, sentence):
    fresh.edit(change)
    result = fresh.snakemake("--profile", "local", "all")
    assert result.returncode == 1
    assert re.search(sentence, result.stderr), result.stderr
    assert "Traceback" not in result.stderr
    assert not (fresh.folder / "results").exists()


def test_a_missing_root_is_one_sentence(fresh):
    manifest = load_manifest(fresh.folder / "data_manifests/tiny.yaml")
    raw = manifest.model_dump(mode="json", exclude={"generate"}) | {"root": "data/nowhere"}
    (fresh.folder / "data_manifests/real.yaml").write_text(yaml.safe_dump(raw))
    fresh.edit(lambda c: c["datasets"]["tiny"].update(manifest="data_manifests/real.yaml"))
    result = fresh.snakemake("--profile", "local", "all")
    assert result.returncode == 1
    assert "the folder data/nowhere of Tiny demo videos does not exist" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_dataset_is_named(fresh):
    result = fresh.snakemake("--profile", "local", "results/tyny/points.parquet")
    assert result.returncode == 1
    assert "no config names a dataset 'tyny'; known: tiny" in result.stderr + result.stdout


def test_another_config_serves_its_own_datasets(fresh):
    config = yaml.safe_load((fresh.folder / "config/demo.yaml").read_text())
    config["datasets"] = {"other": config["datasets"]["tiny"] | {"points": {"noise_px": 5}}}
    (fresh.folder / "config/other.yaml").write_text(yaml.safe_dump(config))
    fresh.run("results/other/points.parquet")
    assert (fresh.folder / "results/other/points.parquet").exists()


def test_a_config_that_changed_after_planning_is_refused(project):
    import subprocess

    command = ["socl", "points", "--dataset", "tiny", "--fingerprint", "0" * 16]
    result = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    assert result.returncode == 1
    assert "changed since this run was planned" in result.stderr
