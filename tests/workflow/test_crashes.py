"""Killed runs go on where they were, with the result of an undisturbed run."""

import pytest


def stamps(folder, pattern):
    return {str(path): path.stat().st_mtime_ns for path in folder.glob(pattern)}


def store_files(project):
    """Return the bytes of every file of the published store: the digest is of the content only."""
    store = (project.folder / "results/tiny/top_maps.zarr").resolve()
    return {p.relative_to(store): p.read_bytes() for p in store.rglob("*") if p.is_file()}


def test_a_run_killed_in_top_maps_keeps_its_shards(finished, fresh):
    store = "work/cache/top_maps/*/top_maps.zarr"
    shards = f"{store}/ledger/c/[0-9]/0/0"  # of finished shards
    fresh.kill_when(shards, "results/tiny/top_maps.zarr")
    kept = stamps(fresh.folder, shards)
    assert 0 < len(kept) < 6, "the kill came too late to test anything"
    assert not (fresh.folder / "results/tiny/top_maps.summary.json").exists()
    fresh.snakemake("--unlock")
    fresh.run("results/tiny/top_maps.zarr")
    after = stamps(fresh.folder, shards)
    assert len(after) == 6
    assert {name: after[name] for name in kept} == kept
    assert not list(fresh.folder.glob(f"{store}/**/*.partial"))
    assert fresh.digest("top_maps") == finished.digest("top_maps")
    assert store_files(fresh) == store_files(finished)


def test_a_run_killed_in_training_goes_on_from_its_checkpoint(finished, project):
    # a longer run of its own, so that the kill falls between two checkpoints
    project.edit(lambda c: c["models"]["socl_siam"].update(epochs=8))
    undisturbed = project.copy(project.folder.with_name("undisturbed"))
    target = "results/tiny/models/socl_siam.summary.json"
    checkpoint = "work/cache/train/*/scratch/checkpoint.pt"
    project.kill_when(checkpoint, target)
    assert any(project.folder.glob(checkpoint))
    project.snakemake("--unlock")
    log = project.run(target)
    assert "going on after step" in log
    undisturbed.run(target)
    assert project.digest("models/socl_siam") == undisturbed.digest("models/socl_siam")
    assert project.digest("models/socl_siam") != finished.digest("models/socl_siam")


@pytest.mark.parametrize("workers", ["1", "4"])  # the project was built with 2
def test_top_maps_are_the_same_bytes_for_any_number_of_workers(project, workers):
    import subprocess

    results = project.folder / "results"
    command = ["socl", "top_maps", "--dataset", "tiny", "--workers", workers]
    command += ["--cache", f"work/cache_{workers}", "--results", str(results)]
    before, files = project.digest("top_maps"), store_files(project)
    subprocess.run(command, cwd=project.folder, check=True, capture_output=True)
    assert (
        (results / "tiny/top_maps.zarr")
        .resolve()
        .is_relative_to(project.folder / f"work/cache_{workers}")
    )
    assert project.digest("top_maps") == before
    assert store_files(project) == files
