"""Curves show the paper's figures where they belong on the same axis."""

import numpy as np
import pytest

from socl_pipeline.benchmarks.protocols import METRICS
from socl_pipeline.settings import TableSettings
from socl_pipeline.tables.cells import Cell
from socl_pipeline.tables.curve_picture import curve_picture, staggered
from socl_pipeline.tables.results import Result


@pytest.fixture
def draw():
    """A function that draws two rows over 110 h and 880 h, and returns open points and legend."""

    def of(columns, metric="auc"):
        paper = [
            {
                "benchmark": "OTB13",
                "metric": "AUC",
                "columns": columns,
                "rows": {"Box": [52.0, None], "SoCL": [56.7, 60.9]},
            }
        ]
        rows = [{"label": "Box"}, {"label": "SoCL"}]
        settings = TableSettings.model_validate(
            {"title": "t", "columns": "hours", "rows": rows, "curves": True, "paper": paper}
        )
        cells = [Cell(row, f"{x} h", x, "d", (row,)) for row in ("Box", "SoCL") for x in (110, 880)]
        results = [Result(c, "val", metric, METRICS[metric].label, np.full(1, 50.0)) for c in cells]
        ax, *beside = curve_picture(settings, results, [""]).axes
        points = [
            p for line in ax.lines if line.get_fillstyle() == "none" for p in line.get_xydata()
        ]
        legend = [t.get_text() for t in ax.get_legend().get_texts()]
        return sorted(map(tuple, points)), legend, len(beside)

    return of


def test_the_papers_points_are_drawn_where_it_printed_figures(draw):
    points, legend, beside = draw(["110 h", "880 h"])
    assert points == [(110, 52.0), (110, 56.7), (880, 60.9)]
    assert legend == ["Box", "SoCL", "paper, OTB13"]
    assert draw(["110.0h", "880 h"])[0] == points, "the same place"
    assert beside == 0


@pytest.mark.parametrize(
    ("columns", "beside"), [(["110 %", "880 %"], 1), (["55 h", "1760 h"], 1), (["few", "all"], 0)]
)
def test_points_of_another_axis_have_a_panel_of_their_own(draw, columns, beside):
    assert draw(columns) == ([], ["Box", "SoCL"], beside)


def test_points_of_another_metric_have_a_panel_of_their_own(draw):
    assert draw(["110 h", "880 h"], "precision") == ([], ["Box", "SoCL"], 1)


def test_labels_of_ticks_that_are_too_near_are_staggered():
    ticks = {0.9: "0.9", 0.95: "0.95", 0.3: "0.3", 0.88: "0.88"}
    assert staggered(ticks, log=False) == ["0.3", "0.88", "\n0.9", "0.95"]
    assert staggered({110: "110", 120: "120", 3000: "3000"}, log=True) == ["110", "\n120", "3000"]
    assert staggered({110: "110"}, log=True) == ["110"]
