"""Which runs a table needs, and that tables share them."""

import re
from pathlib import Path

import pytest
import yaml

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.job import Target
from socl_pipeline.settings import PaperFigures, load_config, validate_config
from socl_pipeline.settings.errors import validated
from socl_pipeline.settings.tables import packaged_tables
from socl_pipeline.tables.cells import base_dataset, base_tracker, table_benchmarks, table_cells

ROOT = Path(__file__).parents[2]
PAPER = [f"table_{i}" for i in range(1, 11)]
PAPER += ["figure_7", "figure_8", "figure_9", "figure_10"]


@pytest.fixture
def cells(raw_config):
    """A function that returns the cells of a table of the small config."""

    def of(table, **tables):
        raw_config["tables"] = tables
        return table_cells(validate_config(raw_config, "test"), "demo", table)

    return of


def test_the_papers_tables_are_known():
    own = ["figure_crossover", "table_baselines"]
    assert list(packaged_tables().tables) == [*PAPER, *own]


def test_the_ablation_of_table_1_in_the_papers_order(cells):
    runs = [(c.row, c.column, c.dataset, c.trackers) for c in cells("table_1", seeds=2)]
    assert runs == [
        ("GST", None, "demo", ("socl__gst", "socl__gst__seed1")),
        ("+ SNS", None, "demo", ("socl__sns", "socl__sns__seed1")),
        ("+ negative mix-up", None, "demo", ("socl__mixup", "socl__mixup__seed1")),
        ("+ LST (SoCL)", None, "demo", ("socl", "socl__seed1")),
    ]


def test_seeds_begin_with_that_of_the_model(cells, raw_config):
    raw_config["models"]["tiny"]["seed"] = 4
    assert cells("table_1", seeds=2)[-1].trackers == ("socl", "socl__seed5")


def test_budgets_are_columns(cells):
    found = cells("table_8", hours=[0.5, 2])
    assert [(c.column, c.x, c.dataset, c.trackers) for c in found] == [
        ("0.5 h", 0.5, "demo__boxes__sparse_frames__budget1", ("socl__bce",)),
        ("2 h", 2.0, "demo__boxes__sparse_frames__budget2", ("socl__bce",)),
        ("0.5 h", 0.5, "demo__budget1", ("socl",)),
        ("2 h", 2.0, "demo__budget2", ("socl",)),
    ]


def test_a_row_may_have_columns_of_its_own_or_none(cells):
    assert {c.row: c.column for c in cells("figure_8")}["SoCL"] is None
    assert [c.x for c in cells("figure_7") if c.row == "smallest LST mass"] == [0.3, 0.5, 0.7, 0.9]


def test_equal_runs_have_one_name_in_all_tables(cells, raw_config):
    raw_config["trackers"]["cf"] = {"kind": "eco", "model": "tiny"}
    raw_config["models"]["transt"] = {"kind": "transt"}
    raw_config["trackers"]["transt"] = {"kind": "transt", "model": "transt"}
    names = [{(c.dataset, t) for c in cells(table) for t in c.trackers} for table in PAPER]
    ours = ("demo", "socl")
    assert [table for table, own in zip(PAPER, names, strict=True) if ours in own] == [
        *("table_1", "table_9", "figure_7", "figure_8", "figure_10")
    ]
    assert cells("table_2") == cells("figure_9")


def test_the_correlation_filter_is_a_base_of_its_own(cells, raw_config):
    weights = "weights.npz"
    raw_config["models"]["cf"] = {"backbone": "squeezenet1_1", "weights": weights}
    raw_config["trackers"]["cf"] = {"kind": "eco", "model": "cf"}
    runs = [(c.row, c.trackers) for c in cells("table_3", seeds=2)]
    # pretrained weights are the same for every seed, so they are tracked with once
    assert runs == [("Res18-CF", ("cf__untrained",) * 2), ("SoCL-CF", ("cf", "cf__seed1"))]
    untrained = validate_config(raw_config, "test").tracker("cf__untrained")
    assert (untrained.backbone, str(untrained.weights)) == ("squeezenet1_1", weights)
    heads = [c.trackers for c in cells("table_9")]
    assert heads == [("socl__head",), ("socl",), ("cf__head",), ("cf",)]


def test_a_table_of_correlation_filters_needs_one(cells):
    assert [c.row for c in cells("table_9")] == ["SoCL-Siam"] * 2  # its other row is left out
    assert cells("table_3") == []


def test_tables_of_transt_vary_its_boxes(cells, raw_config):
    assert cells("table_7") == []
    raw_config["models"] |= {"a": {"kind": "transt"}, "b": {"kind": "transt"}}
    raw_config["trackers"] |= {n: {"kind": "transt", "model": n} for n in "ab"}
    raw_config["trackers"] = {"plain": {"kind": "transt", "trunk": "resnet18"}} | raw_config[
        "trackers"
    ]
    runs = [(c.row, c.dataset, c.trackers) for c in cells("table_7", seeds=2)]
    assert runs == [
        ("TransT", "demo__mixed_hours", ("a__on_boxes", "a__on_boxes__seed1")),
        ("SoCL-TransT", "demo", ("a__on_pseudo", "a__on_pseudo__seed1")),
    ]
    raw_config["models"]["b"]["data"] = "pseudo__wide"
    raw_config["pseudo_boxes"] = {"socl_cf": {"kind": "interpolate"}}
    assert cells("table_5", transt_tracker="b")[1].trackers == ("b",)  # as `all` trains it


def test_every_figure_of_the_paper_belongs_to_a_row(cells):
    for name, table in packaged_tables().tables.items():
        labels = {row.label for row in table.rows}
        for figures in table.paper:
            assert set(figures.rows) == labels & set(figures.rows), name


@pytest.mark.parametrize(
    ("columns", "values"), [(["110 h", "880 h"], [52.0]), ([], [52.0, 53.0]), ([], [])]
)
def test_a_paper_row_without_a_figure_for_each_column_is_refused(columns, values):
    raw = {"benchmark": "b", "metric": "AUC", "columns": columns}
    said = rf"^t: row 'SoCL' must .* each of {len(columns)} columns .*, not {len(values)}$"
    with pytest.raises(InputError, match=said):
        validated(PaperFigures, raw | {"rows": {"SoCL": values}}, "t")


def test_a_table_reads_the_tracks_of_its_cells(make_job, raw_config):
    raw_config["tables"] = {"seeds": 2, "hours": [1]}
    targets = {j.target for j in make_job("table", table="table_2").inputs.values()}
    assert targets == {
        Target.of("track", dataset=d, benchmark="val", tracker=t)
        for d, t in [
            ("demo__boxes__budget1", "socl__bce"),
            ("demo__boxes__budget1", "socl__bce__seed1"),
            ("demo__budget1", "socl"),
            ("demo__budget1", "socl__seed1"),
        ]
    }


def test_jobs_of_other_datasets_have_their_own_config(make_job):
    table = make_job("table", table="table_baselines")
    priors = {j.target.names[0][1]: j.config.top_maps.prior for j in table.inputs.values()}
    assert priors == {"demo": "top", "demo__boxes": "boxes", "demo__gaussian": "gaussian"}
    upstream = [t for t in table.with_upstream() if t.stage == "proposals"]
    assert {t.names[0][1] for t in upstream} == {"demo"}, "other priors read none"


def test_what_tables_vary_can_be_chosen(raw_config):
    raw_config["trackers"]["second"] = {"kind": "siamfc", "model": "tiny"}
    assert base_tracker(validate_config(raw_config, "test")) == "socl"
    raw_config["tables"] = {"tracker": "second"}
    assert base_tracker(validate_config(raw_config, "test")) == "second"
    raw_config["models"]["other"] = {}
    raw_config["tables"] = {"model": "other"}
    assert base_tracker(validate_config(raw_config, "test")) is None


def test_datasets_and_benchmarks_of_the_tables(raw_config):
    raw_config["datasets"]["second"] = raw_config["datasets"]["demo"]
    raw_config["benchmarks"]["two"] = raw_config["benchmarks"]["val"]
    config = validate_config(raw_config, "test")
    assert (base_dataset(config), table_benchmarks(config)) == ("demo", ("val", "two"))
    raw_config["tables"] = {"dataset": "second", "benchmarks": ["two"]}
    config = validate_config(raw_config, "test")
    assert (base_dataset(config), table_benchmarks(config)) == ("second", ("two",))
    raw_config["benchmarks"], raw_config["tables"] = {}, {}
    assert table_benchmarks(validate_config(raw_config, "test")) == ()


@pytest.mark.parametrize("name", ["config/demo", "config/got10k", "benchmarks/real_clips"])
def test_the_tables_of_the_shipped_configs_resolve(name):
    config = load_config(ROOT / f"{name}.yaml")
    for table in config.known_tables:
        for cell in table_cells(config, base_dataset(config), table):
            config.for_dataset(cell.dataset)
            assert all(config.tracker(t) for t in cell.trackers)


def test_the_documented_table_is_valid_and_trains_what_is_said(raw_config):
    text = (ROOT / "docs/tables.md").read_text().partition("## Your own")[2]
    documented = re.search(r"```yaml\n(.*?)```", text, re.S)
    config = validate_config(raw_config | yaml.safe_load(documented[1]), "docs/tables.md")
    cells = table_cells(config, "demo", "table_temperature")
    assert len({(c.dataset, c.trackers[0]) for c in cells}) == 6
    assert {len(c.trackers) for c in cells} == {3}
