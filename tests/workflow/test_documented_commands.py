"""The commands that the documentation gives, literally, and the links they rely on."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_profiles_are_links_at_the_root():
    for name in ("local", "slurm"):
        assert (ROOT / name).is_symlink()
        assert (ROOT / name / "profile.yaml").is_file()


def test_profiles_say_how_not_what():
    local = yaml.safe_load((ROOT / "profiles/local/profile.yaml").read_text())
    slurm = yaml.safe_load((ROOT / "profiles/slurm/profile.yaml").read_text())
    assert "code" not in local["rerun-triggers"] and "code" not in slurm["rerun-triggers"]
    assert "cores" not in slurm
    for profile in (local, slurm):
        assert not {"configfile", "config"} & profile.keys()
    assert not (ROOT / "profiles/default").exists()


def test_the_cluster_target_is_planned_as_documented(fresh):
    """`snakemake results/got10k/top_maps.zarr` finds its config by the dataset's name."""
    folder = fresh.folder / "got10k/train/GOT-10k_Train_000001"
    folder.mkdir(parents=True)
    (fresh.folder / "got10k/train/list.txt").write_text("GOT-10k_Train_000001\n")
    (fresh.folder / "otb").mkdir()
    for path in (ROOT / "data_manifests").glob("*.yaml"):
        (fresh.folder / "data_manifests" / path.name).write_text(path.read_text())
    (fresh.folder / "config/got10k.yaml").write_text((ROOT / "config/got10k.yaml").read_text())
    roots = {"GOT10K_ROOT": str(fresh.folder / "got10k"), "OTB_ROOT": str(fresh.folder / "otb")}
    fresh.environment = lambda: type(fresh).environment(fresh) | roots
    text = fresh.run("results/got10k/top_maps.zarr", "-n")
    for rule in ("points", "proposals", "top_maps"):
        assert f"rule {rule}:" in text
    assert "rule train:" not in text
