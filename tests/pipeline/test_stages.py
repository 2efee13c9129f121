import pytest
import yaml

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import digest_files
from socl_pipeline.pipeline.job import Target, open_dataset
from socl_pipeline.pipeline.stages import STAGES
from socl_pipeline.pipeline.targets import all_targets
from socl_pipeline.settings import validate_config
from socl_pipeline.top.objectness.data import objectness_file

ORDER = ["points", "proposals", "top_maps", "patches", "train", "track", "scores"]
ORDER += ["figure", "pseudo_boxes", "box_quality", "table", "report"]


@pytest.fixture(autouse=True)
def boxes(raw_config):
    """Entries of pseudo_boxes, so that each stage has a job."""
    raw_config["pseudo_boxes"] = {
        "kcf": {"kind": "track", "tracker": "kcf"},
        "linear": {"kind": "interpolate"},
    }


def test_stages_in_the_order_of_the_data():
    assert list(STAGES) == ORDER


def test_inputs_come_earlier(make_job):
    for i, stage in enumerate(ORDER):
        for upstream in make_job(stage, tracker="socl").inputs.values():
            assert ORDER.index(upstream.stage.name) < i


def test_outputs_and_summaries_never_collide(raw_config, make_job):
    raw_config["models"]["other"] = {}
    config = validate_config(raw_config, "test")
    targets = list(all_targets(config))
    assert len(targets) == 4 + 2 + 2 + 1 + 1 + 2 + 1 + 1
    jobs = [make_job(t.stage, raw=raw_config, **dict(t.names)) for t in targets]
    paths = [p for job in jobs for p in (job.output, job.summary_path)]
    assert len(set(paths)) == len(paths)
    assert str(targets[4]) == "train[demo, tiny]"


@pytest.mark.parametrize(
    ("key", "value", "changed"),
    [
        ("datasets.demo.points", {"noise_px": 5}, {"points"}),
        ("datasets.demo.on_bad_frame", "skip", set()),
        ("views.working_side", 100, {"proposals", "top_maps"}),
        ("proposals.edgeboxes.radius_px", 9, {"proposals"}),
        ("proposals.shard_frames", 9, set()),
        ("top_maps.nms", 0.5, {"top_maps"}),
        ("top_maps.prior", "gaussian", {"top_maps"}),
        ("views.kind", "frame", {"proposals", "top_maps"}),
        ("preset", "fast", {"proposals", "top_maps"}),
        ("top_maps.shard_frames", 9, set()),
        ("patches.size", 80, {"patches"}),
        ("models.tiny.lr", 1e-5, {"train"}),
        ("models.tiny.checkpoint_minutes", 9, set()),
        ("models.tiny.device", "auto", set()),
        ("models.tiny.backbone", "resnet18", {"train"}),
        ("trackers.kcf.name", "csrt", {"track", "pseudo_boxes"}),
        ("pseudo_boxes.kcf.ends", "both", {"pseudo_boxes"}),
        ("pseudo_boxes.linear.centre", "click", set()),
        ("pseudo_boxes.more", {"kind": "interpolate"}, {"box_quality"}),
        ("box_quality.examples", 2, {"box_quality"}),
        ("trackers.socl.normalize", "none", set()),
        ("benchmarks.val.convention", "drop", {"scores", "figure", "table"}),
        ("costs.click_fee", 1.0, set()),
        ("datasets.demo.overrides", {"top_maps": {"nms": 0.5}}, {"top_maps"}),
        ("datasets.demo.overrides", {"views": {"context": 4}}, {"proposals", "top_maps"}),
        ("variants.models.gst", {"lr": 1e-5}, set()),
        ("tables.hours", [1, 2], set()),
        ("tables.seeds", 2, {"table"}),
        ("report.title", "Another", {"report"}),
        ("report.examples", 4, set()),
    ],
)
def test_a_fingerprint_changes_with_its_own_section_only(raw_config, make_job, key, value, changed):
    before = {stage: make_job(stage).fingerprint for stage in ORDER}
    *sections, last = key.split(".")
    place = raw_config
    for section in sections:
        place = place.setdefault(section, {})
    place[last] = value
    after = {stage: make_job(stage, raw=raw_config).fingerprint for stage in ORDER}
    assert {stage for stage in ORDER if before[stage] != after[stage]} == changed


def test_attributes_that_a_copy_gets_later_are_drawn_and_nothing_else(
    raw_config, make_job, tmp_path
):
    manifest = tmp_path / "cats.yaml"
    content = {"name": "cats", "title": "Cats", "layout": "lasot", "licence": "none"}
    content |= {"root": str(tmp_path), "sequences": ["cat-1"]}
    manifest.write_text(yaml.safe_dump(content))
    raw_config["benchmarks"]["cats"] = {"manifest": str(manifest)}

    def fingerprints():
        stages = ("track", "scores", "figure")
        return {s: make_job(s, raw=raw_config, benchmark="cats").fingerprint for s in stages}

    before = fingerprints()
    (tmp_path / "att").mkdir()
    (tmp_path / "att/cat-1.txt").write_text("1,0,0,0,0,0,0,0,0,1,0,0,0,0\n")
    assert {s for s, now in fingerprints().items() if now != before[s]} == {"figure"}


def test_drawing_the_demo_is_no_reason_to_draw_its_figures_again(
    raw_config, make_job, tmp_path, demo
):
    root = tmp_path / "later"
    raw_config["benchmarks"]["val"]["root"] = str(root)
    before = make_job("figure", raw=raw_config).fingerprint
    root.symlink_to(demo.root)
    assert make_job("figure", raw=raw_config).fingerprint == before


@pytest.mark.parametrize("wildcard", ["dataset", "model"])
def test_unknown_names_are_refused(make_job, wildcard):
    with pytest.raises(InputError, match=f"there is no {wildcard} 'x' in the config; known: "):
        make_job("train", **{wildcard: "x"})


def test_a_missing_input_names_the_stage_to_run(make_job):
    job = make_job("proposals")
    with pytest.raises(InputError, match="the artifact is not built yet; run its stage first"):
        job.execute()
    with pytest.raises(InputError, match=r"points\.parquet: not built yet; run `socl points`"):
        job.input("points")


def test_a_tracker_reads_its_model_only(make_job):
    assert {j.target for j in make_job("track", tracker="socl").inputs.values()} == {
        Target.of("train", dataset="demo", model="tiny")
    }
    assert make_job("track", tracker="kcf").inputs == {}


@pytest.mark.parametrize("stage", ["train", "track"])
def test_the_content_of_pretrained_weights_counts(raw_config, make_job, tmp_path, stage):
    raw_config["trackers"]["socl"] = entry = {"kind": "siamfc", "backbone": "resnet18"}
    if stage == "train":
        entry = raw_config["models"]["tiny"]
        entry["backbone"] = "resnet18"
    job = make_job(stage, raw=raw_config, tracker="socl")
    assert "weights" not in job.stage.files(job)
    random = job.fingerprint
    found, fingerprints = {}, {}
    for name, content in {"a": b"1", "b": b"1", "c": b"2"}.items():
        path = tmp_path / f"{name}.pth"
        path.write_bytes(content)
        entry["weights"] = str(path)
        job = make_job(stage, raw=raw_config, tracker="socl")
        found[name] = job.stage.files(job)["weights"]
        fingerprints[name] = job.fingerprint
        assert "weights" not in job.params
    assert found["a"] == found["b"] != found["c"]
    assert random != fingerprints["a"] == fingerprints["b"] != fingerprints["c"]
    path.unlink()
    with pytest.raises(InputError, match=r"c\.pth: no such file, though the config names it"):
        job.stage.files(job)
    entry["weights"] = "imagenet"
    job = make_job(stage, raw=raw_config, tracker="socl")
    assert job.stage.files(job)["weights"] == "imagenet"


def test_there_and_back_costs_a_link(make_job, raw_config, monkeypatch):
    first = make_job("points").execute()
    raw_config["datasets"]["demo"]["points"] = {"noise_px": 4}
    other = make_job("points", raw=raw_config).execute()
    assert other.digest != first.digest and other.recipe.key != first.recipe.key
    monkeypatch.setattr(type(STAGES["points"]), "run", lambda *args: pytest.fail("built again"))
    raw_config["datasets"]["demo"]["points"] = {}
    job = make_job("points", raw=raw_config)
    assert job.execute() == first
    assert job.output.resolve().parent.name == first.recipe.key


def test_other_points_ask_for_other_proposals(make_job, raw_config):
    make_job("points").execute()
    proposals = make_job("proposals").execute()
    assert make_job("proposals").recipe == proposals.recipe
    raw_config["datasets"]["demo"]["points"] = {"noise_px": 4}
    make_job("points", raw=raw_config).execute()
    assert make_job("proposals", raw=raw_config).recipe != proposals.recipe


def test_a_killed_stage_goes_on_with_its_missing_shards(stored_boxes, make_job, monkeypatch):
    from socl_pipeline.top import proposals

    make_job("points").execute()
    real, found = proposals._find_edge_boxes, []

    def dying(shard, **options):
        if len(found) == 2:
            raise KeyboardInterrupt
        found.append(shard.start)
        return real(shard, **options)

    monkeypatch.setattr(proposals, "_find_edge_boxes", dying)
    job = make_job("proposals")
    with pytest.raises(KeyboardInterrupt):
        job.execute()
    assert not job.output.exists()

    def counting(shard, **options):
        found.append(shard.start)
        return real(shard, **options)

    monkeypatch.setattr(proposals, "_find_edge_boxes", counting)
    frames = make_job("proposals").execute().stats["frames"]
    assert found == list(range(0, frames, 5)), "each shard once"


def test_workers_do_not_change_the_result(make_job, raw_config, tmp_path):
    digests = []
    for workers in (0, 2):
        for stage in ("points", "proposals", "top_maps"):
            job = make_job(stage, workers=workers)
            digests.append((stage, job.execute().digest))
        (tmp_path / "cache").rename(tmp_path / f"cache{workers}")
    assert digests[:3] == digests[3:]


def test_files_of_the_config_are_part_of_the_recipe(make_job, raw_config, tmp_path):
    table = tmp_path / "tables.json"
    raw_config["top_maps"]["objectness"] = str(table)
    for stage in ("points", "proposals"):
        make_job(stage, raw=raw_config).execute()
    with pytest.raises(InputError, match=r"tables\.json: no such file"):
        _ = make_job("top_maps", raw=raw_config).recipe
    table.write_text("1")
    first = make_job("top_maps", raw=raw_config).recipe.key
    table.write_text("2")
    assert make_job("top_maps", raw=raw_config).recipe.key != first


@pytest.mark.parametrize("prior", ["gaussian", "boxes", "json:loads"])
def test_other_priors_read_no_proposals(make_job, raw_config, prior):
    assert set(make_job("top_maps").inputs) == {"points", "proposals"}
    raw_config["top_maps"]["prior"] = prior
    assert set(make_job("top_maps").inputs) == {"points"}
    assert "proposals" not in make_job("report").inputs
    stages = [target.stage for target in all_targets(make_job("points").config)]
    assert "proposals" not in stages and "top_maps" in stages


def test_pseudo_boxes_are_those_of_the_dataset_without_its_variant(make_job, raw_config):
    raw_config["variants"] = {
        "datasets": {"kcf": {"overrides": {"top_maps": {"prior": "pseudo_boxes/kcf"}}}}
    }

    def source(dataset):
        return make_job("top_maps", dataset=dataset).inputs["pseudo_boxes"].target

    made = Target.of("pseudo_boxes", dataset="demo", boxes="kcf")
    assert source("demo__kcf") == source("demo__kcf__wide") == source("demo__wide__kcf") == made
    # other clicks make other boxes
    assert source("demo__kcf__noise20").names[0] == ("dataset", "demo__noise20")
    raw_config["variants"]["datasets"]["kcf"]["overrides"]["top_maps"]["prior"] += "x"
    with pytest.raises(InputError, match="there is no entry of pseudo_boxes 'kcfx'"):
        source("demo__kcf")


def test_boxes_by_a_model_that_would_learn_from_them_are_refused(make_job, raw_config):
    raw_config["pseudo_boxes"]["socl"] = {"kind": "track", "tracker": "socl"}
    raw_config["top_maps"]["prior"] = "pseudo_boxes/linear"
    assert "pseudo_boxes" in make_job("top_maps").inputs  # an interpolation needs no model
    raw_config["top_maps"]["prior"] = "pseudo_boxes/socl"
    with pytest.raises(InputError, match="demo: `prior: pseudo_boxes/socl` runs a model that") as e:
        make_job("top_maps")
    assert "\n" not in str(e.value)
    raw_config["top_maps"]["prior"] = "pseudo_boxes/scl"
    with pytest.raises(InputError, match="no entry of pseudo_boxes 'scl': did you mean 'socl'"):
        make_job("top_maps")


def test_a_model_learns_from_variants_of_the_dataset(make_job, raw_config):
    plain = make_job("train")
    model = raw_config["models"][plain.names["model"]]
    raw_config["variants"] = {
        "datasets": {"kcf": {"overrides": {"top_maps": {"prior": "pseudo_boxes/kcf"}}}}
    }
    model["data"] = "kcf"
    job = make_job("train")
    assert job.inputs["patches"].target == Target.of("patches", dataset="demo__kcf")
    assert Target.of("pseudo_boxes", dataset="demo", boxes="kcf") in job.with_upstream()
    assert job.params == plain.params  # it is the patches that count, whatever their name


def test_a_model_is_not_trained_on_its_own_boxes(make_job, raw_config):
    raw_config["pseudo_boxes"]["socl_cf"] = {"kind": "track", "tracker": "socl"}
    tracker = raw_config["trackers"]["socl"]
    raw_config["models"][tracker["model"]]["data"] = "pseudo__wide"
    with pytest.raises(InputError, match=r"pseudo_boxes\.socl_cf: its tracker runs a model") as e:
        make_job("train")
    assert "\n" not in str(e.value)
    raw_config["models"]["second"] = {"kind": "transt", "data": "pseudo__wide"}
    del raw_config["models"][tracker["model"]]["data"]
    make_job("train")  # by another model: self-training in rounds


def test_a_forest_is_known_by_its_content(make_job, raw_config, tmp_path):
    """Its edges are found in the maps too, so these must not be taken from another forest's."""
    forest = tmp_path / "model.yml.gz"
    raw_config["proposals"]["edgeboxes"]["model"] = str(forest)
    make_job("points").execute()
    with pytest.raises(InputError, match=r"model\.yml\.gz: no such file, though the config"):
        _ = make_job("proposals").recipe
    recipes, fingerprints = [], set()
    for content, name in ((b"1", "model.yml.gz"), (b"2", "model.yml.gz"), (b"2", "b.yml.gz")):
        (tmp_path / name).write_bytes(content)
        raw_config["proposals"]["edgeboxes"]["model"] = str(tmp_path / name)
        proposals = make_job("proposals")
        proposals.execute()
        recipes.append((proposals.recipe.key, make_job("top_maps").recipe.key))
        fingerprints.add(proposals.fingerprint)
    (a, a_maps), (b, b_maps), other_name = recipes
    assert a != b and a_maps != b_maps
    assert other_name == (b, b_maps), "where it lies is no part of it"
    assert len(fingerprints) == 2, "Snakemake sees the content too"


def test_other_tables_under_the_same_name_are_seen_by_snakemake(make_job, raw_config, tmp_path):
    tables = tmp_path / "tables.json"
    raw_config["top_maps"]["objectness"] = str(tables)
    seen = set()
    for content in ("a", "b"):
        tables.write_text(content)
        seen.add(make_job("top_maps").fingerprint)
    assert len(seen) == 2


def test_proposals_of_another_config_are_refused(make_job, raw_config):
    """Boxes of the local search are found by the config; the cache must not keep a mixture."""
    for stage in ("points", "proposals"):
        make_job(stage).execute()
    raw_config["proposals"]["edgeboxes"]["max_boxes"] = 0
    with pytest.raises(InputError, match=r"made with other settings .* run `socl proposals` first"):
        make_job("top_maps").execute()
    make_job("proposals").execute()
    assert make_job("top_maps").execute().stats["frames"] > 0


def test_how_the_maps_look_changes_the_report_but_not_what_training_reads(make_job, raw_config):
    for stage in ("points", "proposals", "top_maps"):
        before = make_job(stage).execute()
    report = make_job("report").fingerprint
    raw_config["top_maps"]["clip"] = 0.3
    assert make_job("top_maps").execute().digest == before.digest
    assert make_job("report").fingerprint != report


def test_the_search_is_part_of_proposals_that_store_no_boxes(make_job, raw_config):
    make_job("points").execute()
    digests = set()
    changes = [
        ("edgeboxes", "alpha", 0.7),
        ("edgeboxes", "radius_sides", 2.0),
        ("edgeboxes", "max_boxes", 7),
        ("random", "seed", 5),
    ]
    for section, key, value in [("edgeboxes", "alpha", 0.65), *changes]:
        raw_config["proposals"][section][key] = value
        job = make_job("proposals")
        digests.add(job.execute().digest)
        assert not (job.output / "edgeboxes").exists()
    raw_config["views"] = {"working_side": 128}
    digests.add(make_job("proposals").execute().digest)
    assert len(digests) == len(changes) + 2
    before = make_job("proposals").execute().digest
    raw_config["proposals"]["shard_frames"] = 9
    assert make_job("proposals").execute().digest == before


def test_the_tables_of_the_kind_of_view_are_part_of_the_recipe(make_job, raw_config):
    keys = set()
    for views in ({}, {"kind": "frame"}):
        raw_config["views"] = views
        for stage in ("points", "proposals"):
            make_job(stage).execute()
        recipe = make_job("top_maps").recipe
        tables = objectness_file(None, views.get("kind", "context"))
        assert recipe.inputs["objectness"] == digest_files(tables, ())
        keys.add(recipe.inputs["objectness"])
    assert len(keys) == 2


def test_what_other_priors_read_is_part_of_the_recipe(make_job, raw_config, tmp_path, monkeypatch):
    def recipe(prior):
        raw_config["top_maps"]["prior"] = prior
        return make_job("top_maps").recipe

    make_job("points").execute()
    assert set(recipe("gaussian").inputs) == {"points"}
    boxes = recipe("boxes").inputs
    assert boxes["annotations"] == make_job("points").dataset.digest()
    (tmp_path / "own_prior.py").write_text("def f(frame, point, info): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = recipe("own_prior:f")
    assert set(before.inputs) == {"points", "prior"}
    (tmp_path / "own_prior.py").write_text("def f(frame, point, info): return 1\n")
    assert recipe("own_prior:f").key != before.key
    assert set(recipe("no_such_module:f").inputs) == {"points"}, "running it says what is wrong"


def test_a_dataset_without_its_folder(raw_config, tmp_path, demo):
    raw_config["datasets"]["demo"]["root"] = str(tmp_path / "nowhere")
    config = validate_config(raw_config, "test")
    data = open_dataset(config.datasets["demo"])
    with pytest.raises(InputError, match=r"list\.txt: the list of videos is missing"):
        data.names()
