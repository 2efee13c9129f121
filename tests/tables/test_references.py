"""Which cells of a table are compared with which."""

import pytest

from socl_pipeline.errors import InputError
from socl_pipeline.settings import TableSettings, validate_config
from socl_pipeline.settings.errors import validated
from socl_pipeline.tables.cells import table_cells, unchanged_trackers
from socl_pipeline.tables.references import references


@pytest.fixture
def compared(raw_config):
    """A function that returns what the cells of a table are compared with, by row and column."""

    def of(table, **tables):
        raw_config["tables"] = {"hours": [1, 2]} | tables
        config = validate_config(raw_config, "test")
        cells = table_cells(config, "demo", table)
        settings = config.table(table)
        found = references(settings, cells, unchanged_trackers(config, settings))
        return {(c.row, c.column): (b.row, b.column) for c, b in found.items()}

    return of


def test_the_first_row_is_what_others_are_compared_with(compared):
    assert set(compared("table_1").values()) == {("GST", None)}
    assert compared("figure_9") == {
        ("SoCL-Siam", "1 h"): ("Box-Siam", "1 h"),
        ("SoCL-Siam", "2 h"): ("Box-Siam", "2 h"),
    }


@pytest.mark.parametrize("seeds", [1, 2])
def test_sweeps_are_compared_within_themselves_with_the_unchanged_model(compared, seeds):
    found = compared("figure_7", seeds=seeds)
    assert len(found) == 4 + 3
    for (row, column), (to, at) in found.items():
        assert row == to and column != at
        assert at == {"background mass": "0.9", "smallest LST mass": "0.5"}[row]


def test_a_single_row_is_compared_with_the_unchanged_model(compared, raw_config):
    assert compared("table_9") == {("SoCL-Siam", "with"): ("SoCL-Siam", "without")}
    raw_config["models"]["tiny"]["top_clip"] = 0.1
    assert set(compared("table_10").values()) == {("SoCL-Siam", "10 %")}


def test_without_the_unchanged_model_the_first_column_is_the_reference(compared, raw_config):
    raw_config["models"]["tiny"]["background_mass"] = 0.6
    found = compared("figure_7")
    assert set(found.values()) == {("background mass", "0.5"), ("smallest LST mass", "0.5")}


def test_every_threshold_and_level_line_is_compared_with_the_named_row(compared):
    found = compared("figure_8")
    assert set(found.values()) == {("SoCL", None)}
    assert len(found) == 6 + 1 and ("SoCL", None) not in found


def own_table(**changes):
    columns = [{"label": "a", "model": "gst"}, {"label": "b"}]
    rows = [{"label": "one", "columns": columns}, {"label": "two", "columns": columns[:1]}]
    return {"title": "own", "rows": rows} | changes


def test_a_named_row_is_compared_column_by_column(compared):
    assert compared("own_two", own={"own_two": own_table(reference="two")}) == {
        ("one", "a"): ("two", "a")
    }, "column b has nothing to be compared with"


def test_a_reference_must_be_a_row():
    with pytest.raises(
        InputError, match=r"^t: reference must be the label of a row, not 'on': did you mean 'one'"
    ):
        validated(TableSettings, own_table(reference="on"), "t")
