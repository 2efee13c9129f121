import errno
import json
import os

import pytest
import yaml
from click.testing import CliRunner

from socl_pipeline import __version__
from socl_pipeline.cli import cli, main
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.stages import STAGES
from socl_pipeline.top.objectness.model import load_objectness


@pytest.fixture
def config(raw_config, tmp_path, monkeypatch):
    """The small config as a file in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw_config))
    return path


@pytest.fixture
def socl():
    """A function that runs a command and returns its result; exceptions pass through."""

    def run(*arguments):
        return CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)

    return run


def test_help_lists_the_stages_in_order(socl):
    text = socl("--help").output
    listed = [line.split()[0] for line in text.split("Commands:")[1].splitlines() if line.strip()]
    assert listed[: len(STAGES)] == list(STAGES)
    assert listed[len(STAGES) :] == sorted(listed[len(STAGES) :])
    for stage in STAGES.values():
        assert stage.help.split()[0] in text


def test_version(socl):
    assert __version__ in socl("--version").output


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_explains_itself(socl, stage):
    text = socl(stage, "--help").output
    for name in STAGES[stage].names:
        assert f"--{name} " in text
    assert "--fingerprint" in text and "--workers" in text
    assert ("--on-bad-frame" in text) == (
        stage in ("points", "proposals", "top_maps", "patches", "pseudo_boxes")
    )


def test_a_stage_publishes_and_tells(socl, config, tmp_path):
    result = socl("points", "-c", config, "--dataset", "demo", "-j", 0, "--log", "logs/p.log")
    assert result.exit_code == 0
    assert (tmp_path / "results/demo/points.parquet").is_symlink()
    assert (tmp_path / "work/cache/points").is_dir()
    last = result.stderr.splitlines()[-1]
    assert last.startswith("results/demo/points.parquet  {")
    assert json.loads(last.split("  ", 1)[1])["videos"] == 4
    assert "points" in (tmp_path / "logs/p.log").read_text()


def test_an_input_error_is_one_line(config, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["socl", "points", "-c", str(config), "--dataset", "nothing"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "socl: there is no dataset 'nothing' in the config; known: demo\n"


def test_a_missing_config_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["socl", "status"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    message = "socl: config/demo.yaml: no such config file (No such file or directory)\n"
    assert capsys.readouterr().err == message


def test_a_wrong_fingerprint_is_refused(socl, config, tmp_path, make_job):
    arguments = ("points", "-c", config, "--dataset", "demo", "-j", 0, "--fingerprint")
    with pytest.raises(InputError, match=r"config\.yaml: changed since this run was planned"):
        socl(*arguments, "0" * 16)
    assert not (tmp_path / "results").exists()
    assert socl(*arguments, make_job("points").fingerprint).exit_code == 0


def test_a_missing_name_is_a_usage_error(socl, config):
    result = socl("train", "-c", config, "--dataset", "demo")
    assert result.exit_code == 2 and "--model" in result.output


def test_status(socl, config, raw_config, withheld):
    raw_config["benchmarks"]["test"] = withheld
    write(config, raw_config)
    socl("points", "-c", config, "--dataset", "demo", "-j", 0)
    lines = socl("status", "-c", config).output.splitlines()
    assert lines[0].startswith("complete") and "results/demo/points.parquet" in lines[0]
    assert lines[1].startswith("missing") and lines[1].endswith("not built")
    assert any("results/demo/tracks/test/kcf.parquet" in line for line in lines)
    assert not any("scores/test" in line for line in lines)
    assert lines[-2].startswith("test is not scored") and "`socl results submit`" in lines[-2]
    assert lines[-1].startswith("in all")


def test_gc(socl, config, raw_config, tmp_path):
    socl("points", "-c", config, "--dataset", "demo", "-j", 0)
    raw_config["datasets"]["demo"]["points"] = {"noise_px": 5}
    config.write_text(yaml.safe_dump(raw_config))
    socl("points", "-c", config, "--dataset", "demo", "-j", 0)
    folders = [p for p in (tmp_path / "work/cache/points").iterdir() if p.is_dir()]
    assert len(folders) == 2
    assert "1 unused artifacts; --delete frees them" in socl("gc").output
    assert all(f.exists() for f in folders)
    assert "freed" in socl("gc", "--delete").output
    assert sum(f.exists() for f in folders) == 1
    assert (tmp_path / "results/demo/points.parquet").exists()


@pytest.fixture
def drawable(tmp_path):
    """A manifest of two small videos to be drawn."""
    path = tmp_path / "manifest.yaml"
    size = {"train_videos": 1, "val_videos": 1, "frames": 2, "width": 96, "height": 64}
    content = {"name": "d", "title": "D", "layout": "got10k", "licence": "-", "generate": size}
    path.write_text(yaml.safe_dump(content | {"root": str(tmp_path / "drawn")}))
    return path


def test_demo_data(socl, drawable, tmp_path):
    result = socl("demo-data", "--manifest", drawable)
    assert result.stderr.splitlines()[-1] == f"{tmp_path / 'drawn'}: 2 videos"
    assert (tmp_path / "drawn/val/demo_val_000001/00000002.jpg").exists()
    assert socl("demo-data", "--manifest", drawable, "--root", tmp_path / "o").exit_code == 0
    assert (tmp_path / "o/train/list.txt").exists()


def test_demo_data_needs_something_to_draw(socl, drawable):
    content = yaml.safe_load(drawable.read_text())
    del content["generate"]
    drawable.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match="has no `generate` section"):
        socl("demo-data", "--manifest", drawable)


def test_fit_objectness(socl, tmp_path):
    out = tmp_path / "tables.json"
    result = socl("fit-objectness", "--scenes", 2, "--out", out)
    assert load_objectness(out).provenance["source"] == "2 procedural scenes"
    assert "2-fold held out: AUC 0." in result.stderr.splitlines()[-1]
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_fit_objectness_on_a_dataset(socl, demo, tmp_path):
    out = tmp_path / "tables.json"
    options = ("--manifest", demo.manifest, "--split", "val", "--every", 2, "--max-frames", 3)
    socl("fit-objectness", *options, "--size-cue", "--plot", tmp_path / "p.png", "--out", out)
    model = load_objectness(out)
    assert model.provenance["source"] == "demo val, every 2, at most 3 frames"
    assert model.provenance["boxes"] == 3 and model.provenance["videos_or_images"] == 2
    assert model.cues[-1] == "size"
    assert (tmp_path / "p.png").exists() and not out.with_suffix(".png").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--scenes", 2, "--manifest", "m.yaml"), "--scenes and --manifest exclude each other"),
        (("--boxes", "b.csv"), "--boxes FILE.csv and --images FOLDER belong together"),
        (("--boxes", "no.csv", "--images", "."), r"no\.csv: cannot be read"),
        (("--manifest", "no.yaml"), "no.yaml: no such manifest"),
        (("--release", "nowhere"), "params.mat: no such file|likelihood.mat: no such file"),
    ],
)
def test_fit_objectness_names_what_it_cannot_use(socl, tmp_path, options, expected):
    with pytest.raises(InputError, match=expected):
        socl("fit-objectness", *options, "--out", tmp_path / "t.json")
    assert not (tmp_path / "t.json").exists()


def test_schema_describes_every_section(socl):
    schema = json.loads(socl("schema").output)
    assert set(schema["required"]) == {"datasets"}
    assert "top_maps" in schema["properties"]


def test_check_and_inspect_a_store(socl, config, demo, tmp_path):
    for stage in ("points", "proposals", "top_maps"):
        socl(stage, "-c", config, "--dataset", "demo", "-j", 0)
    store = tmp_path / "results/demo/top_maps.zarr"
    result = socl("check", store)
    assert result.exit_code == 0 and "16 frames in 1 shards: 1 sound" in result.output
    assert "16 scored" in socl("inspect", store, "-c", config).output
    out = tmp_path / "frame.png"
    drawn = socl("inspect", store, "-c", config, "--frame", "demo_train_000001:0", "--out", out)
    assert drawn.exit_code == 0 and out.exists()
    (store / "scores/c/0/0").unlink()
    result = socl("check", store)
    assert result.exit_code == 1
    assert "shard 0 (frames 0 to 15): corrupt, scores/c/0/0 is gone" in result.output
    assert socl("check", store, "--repair").exit_code == 1
    socl("top_maps", "-c", config, "--dataset", "demo", "-j", 0)
    assert socl("check", store).exit_code == 0


def write(config, raw):
    config.write_text(yaml.safe_dump(raw))


@pytest.mark.parametrize("prior", ["gaussian", "boxes"])
def test_other_priors_take_two_stages(socl, config, raw_config, tmp_path, prior):
    raw_config["top_maps"]["prior"] = prior
    write(config, raw_config)
    for stage in ("points", "top_maps"):
        result = socl(stage, "-c", config, "--dataset", "demo", "-j", 0)
        assert result.exit_code == 0
    assert '"frames": 16' in result.stderr
    store = tmp_path / "results/demo/top_maps.zarr"
    assert socl("check", store).exit_code == 0
    assert f"prior        {prior}" in socl("inspect", store, "-c", config).output
    assert "proposals" not in socl("status", "-c", config).output


def test_a_preset_in_a_config_file(socl, config, raw_config, tmp_path):
    raw_config["preset"] = "paper_strict"
    write(config, raw_config)
    for stage in ("points", "proposals", "top_maps"):
        assert socl(stage, "-c", config, "--dataset", "demo", "-j", 0).exit_code == 0
    assert (tmp_path / "results/demo/proposals/edgeboxes").is_dir()
    shown = socl("inspect", tmp_path / "results/demo/top_maps.zarr", "-c", config).output
    assert "frame" in shown and "full" in shown
    raw_config["preset"] = "paper"
    write(config, raw_config)
    with pytest.raises(InputError, match=r"config\.yaml: preset: input should be 'default', "):
        socl("points", "-c", config, "--dataset", "demo")


def test_a_place_for_the_workers_that_is_none_is_one_sentence(socl, config):
    for stage in ("points", "proposals"):
        socl(stage, "--config", config, "--dataset", "demo")
    with pytest.raises(InputError, match="--dask grid: neither a place nor a file; expected none,"):
        socl("top_maps", "--config", config, "--dataset", "demo", "--dask", "grid")
    result = socl("top_maps", "--config", config, "--dataset", "demo", "--dask", "none")
    assert result.exit_code == 0


def test_where_work_runs_is_not_part_of_what_is_made(make_job):
    from dataclasses import replace

    job = make_job("points")
    elsewhere = replace(job, workers=7, dask="slurm", memory_mb=9000)
    assert (elsewhere.recipe, elsewhere.fingerprint) == (job.recipe, job.fingerprint)


def test_a_disk_that_does_not_answer_is_one_sentence_and_another_error_is_none(monkeypatch, capsys):
    def fails(code):
        def run():
            raise OSError(code, os.strerror(code), "frame.jpg")

        return run

    monkeypatch.setattr("socl_pipeline.cli.cli", fails(errno.ESTALE))
    with pytest.raises(SystemExit, match="1"):
        main()
    said = capsys.readouterr().err
    assert "frame.jpg" in said and "the disk does not answer" in said and said.count("\n") == 1
    monkeypatch.setattr("socl_pipeline.cli.cli", fails(errno.ENOENT))
    with pytest.raises(FileNotFoundError):
        main()
