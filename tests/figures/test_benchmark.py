"""Which figures a benchmark's scores give, and what they show."""

import numpy as np
import pytest

from socl_pipeline.benchmarks.protocols import CURVES, METRICS, PROTOCOLS, Protocol
from socl_pipeline.datasets.manifest import OpeConstants, VotConstants
from socl_pipeline.errors import InputError
from socl_pipeline.figures.accuracy_robustness import ar_plot
from socl_pipeline.figures.attributes import attribute_means, attribute_radar
from socl_pipeline.figures.benchmark import FIGURES, BenchmarkScores, benchmark_figures
from socl_pipeline.figures.eao import eao_curve_plot, eao_rank_plot
from socl_pipeline.figures.files import save
from socl_pipeline.figures.speed import speed_plot
from socl_pipeline.figures.style import OKABE_ITO

VOT = Protocol("vot", ("eao", "accuracy", "robustness"), ("official",), "none:none")
ATTRIBUTES = {"a": frozenset({"IV", "SV"}), "b": frozenset({"SV", "OCC"})}


def row(tracker, sequence, **given):
    empty = dict.fromkeys((*METRICS, *CURVES))
    counts = {"frames": 100, "frames_per_second": 20.0, "missing": 0}
    return empty | counts | {"tracker": tracker, "sequence": sequence} | given


def ope_rows(tracker, auc):
    """Rows of two sequences and their mean; precision is a point of its curve, as in OTB."""
    curve = np.linspace(0, 1, 51)
    own = {
        "auc": auc,
        "precision": curve[20],
        "norm_precision": 0.6,
        "success_curve": np.full(21, auc),
        "precision_curve": curve,
        "norm_precision_curve": curve,
    }
    return [row(tracker, s, **own | {"auc": auc + d}) for s, d in (("a", 0.1), ("b", -0.1))] + [
        row(tracker, None, **own)
    ]


def draw(rows, protocol="ope", constants=None, attributes=ATTRIBUTES):
    protocol = VOT if protocol == "vot" else PROTOCOLS[protocol]
    scores = BenchmarkScores("val", protocol, constants or OpeConstants(), rows, attributes)
    return {d.name: d for d in benchmark_figures(scores, OKABE_ITO)}


def labels(figure):
    return [h.get_label() for h in figure.axes[0].lines if not h.get_label().startswith("_")]


def test_one_pass_evaluation_has_curves_attributes_and_speed():
    drawn = draw([*ope_rows("first", 0.4), *ope_rows("second", 0.5)])
    assert list(drawn) == ["success", "precision", "norm_precision", "attributes", "speed"]
    assert sorted(drawn, key=FIGURES.index) == list(drawn)
    assert drawn["success"].caption == "Success plot of 2 trackers on val"
    (legend,) = [drawn["success"].figure.axes[0].get_legend()]
    assert legend.get_title().get_text() == "AUC"
    assert [t.get_text() for t in legend.get_texts()] == ["[0.500] second", "[0.400] first"]


def test_a_threshold_is_marked_where_the_score_is_the_curves_value_there():
    drawn = draw(ope_rows("one", 0.4))
    rules = {n: [x for h in drawn[n].figure.axes[0].lines for x in h.get_xdata()] for n in drawn}
    assert rules["precision"].count(20) == 3, "the curve's point and both ends of the rule"
    assert rules["norm_precision"].count(0.2) == 1, "0.6 is no value of the curve: it is an area"


def test_trackers_without_a_figure_are_left_out():
    assert list(draw([row("one", None), row("one", "a")])) == []
    unknown = [row("one", None, auc=0.4, frames_per_second=None), *ope_rows("two", 0.5)]
    drawn = draw(unknown, attributes={"a": frozenset(), "b": frozenset()})
    assert labels(drawn["speed"].figure) == ["two"] and "attributes" not in drawn
    assert drawn["speed"].caption == "Speed and AUC of 1 tracker on val"
    assert drawn["norm_precision"].caption.startswith("Normalised precision plot of 1 tracker")


def test_a_tracker_keeps_its_style_where_others_are_left_out_and_says_what_it_lacks():
    lacking = [row("first", None, auc=0.7, success_curve=np.full(21, 0.7), missing=1)]
    rows = [*lacking, *ope_rows("second", 0.5), *ope_rows("third", 0.4)]
    for r in lacking:
        r["frames_per_second"] = None
    drawn = draw(rows)
    assert "first (1 missing)" in labels(drawn["success"].figure)[0]
    colors = {
        name: {h.get_label().split("] ")[-1]: h.get_color() for h in d.figure.axes[0].lines}
        for name, d in drawn.items()
    }
    for figure in ("success", "attributes", "speed"):
        assert colors[figure]["second"] == OKABE_ITO[1] and colors[figure]["third"] == OKABE_ITO[2]
    assert "first (1 missing)" not in colors["speed"] | colors["attributes"]


def test_a_precision_that_is_an_area_is_not_called_that_of_a_threshold():
    for protocol, label in (("ope", "P@20"), ("trackingnet", "P (area)")):
        legend = draw(ope_rows("one", 0.4), protocol)["precision"].figure.axes[0].get_legend()
        assert legend.get_title().get_text() == label


def test_vot_has_expected_overlap_its_ranking_and_the_ar_plot():
    rows = [
        row(name, None, eao=e, accuracy=0.6, reliability=r, eao_curve=np.full(400, e))
        for name, e, r in (("low", 0.1, 0.55), ("high", 0.3, 1.0))
    ]
    drawn = draw(rows, "vot", VotConstants(eao_interval=(108, 371)))
    assert list(drawn) == ["eao", "eao_rank", "ar", "speed"]
    assert sorted(drawn, key=FIGURES.index) == list(drawn)
    ranks = drawn["eao_rank"].figure.axes[0]
    assert [t.get_text() for t in ranks.get_yticklabels()] == ["low", "high"], "the best on top"
    points = {h.get_label(): h.get_xdata()[0] for h in drawn["ar"].figure.axes[0].lines}
    assert points == {"high": 1.0, "low": 0.55}


def test_of_points_that_coincide_the_best_is_seen():
    lines = (
        ar_plot({"low": (1.0, 0.60), "high": (1.0, 0.61), "mid": (1.0, 0.605)}, 30).axes[0].lines
    )
    above = sorted(lines, key=lambda line: line.get_zorder())
    assert [line.get_label() for line in above] == ["low", "mid", "high"]


def test_what_single_sequences_have_is_shown_by_attribute():
    rows = [row("one", s, accuracy=0.5) for s in ATTRIBUTES] + [row("one", None, eao=0.2)]
    drawn = draw(rows, "vot")
    assert drawn["attributes"].caption == "Accuracy by attribute of 1 tracker on val"


@pytest.mark.parametrize(
    ("speeds", "ticks"),
    [
        ((10, 60), [10, 20, 50]),
        ((8, 60_000), [10, 100, 1e3, 1e4]),
        ((0.02, 0.2), [0.02, 0.05, 0.1, 0.2]),
    ],
)
def test_speeds_have_ticks_wherever_they_lie(speeds, ticks):
    points = {str(i): (speed, 0.5) for i, speed in enumerate(speeds)}
    assert speed_plot(points, "AUC").axes[0].get_xticks() == pytest.approx(ticks)


def test_attributes_are_means_over_the_sequences_that_have_them():
    means, counts = attribute_means({"one": {"a": 0.2, "b": 0.6}}, ATTRIBUTES)
    assert means["one"] == pytest.approx({"IV": 0.2, "OCC": 0.6, "SV": 0.4})
    assert list(counts.items()) == [("IV", 1), ("OCC", 1), ("SV", 2)]
    (line,) = attribute_radar(means, counts).axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), [0.2, 0.6, 0.4, 0.2])


@pytest.mark.parametrize("count", [1, 4, 5, 8])
def test_nothing_is_cut_off_and_long_legends_lie_below(count):
    names = [f"tracker_{i}_with_a_name" for i in range(count)]
    points = {name: (10.0 * (i + 1), i / 10) for i, name in enumerate(names)}
    means = {name: dict.fromkeys(("IV", "OCC", "SV"), 0.5) for name in names}
    for figure in (
        speed_plot(points, "AUC"),
        ar_plot(dict.fromkeys(names, (0.7, 0.5)), 30),
        eao_rank_plot(dict.fromkeys(names, 0.2)),
        eao_curve_plot({n: (np.full(400, 0.2), 0.2) for n in names}, (108, 371)),
        attribute_radar(means, {"IV": 3, "OCC": 4, "SV": 5}),
    ):
        figure.draw_without_rendering()
        assert figure.get_figwidth() == 3.5
        box = figure.get_tightbbox()
        assert box.x0 >= -0.02 and box.y0 >= -0.02
        assert box.x1 <= 3.52 and box.y1 <= figure.get_figheight() + 0.02
        for legend in figure.legends:
            lowest = figure.axes[0].get_tightbbox().y0
            assert legend.get_window_extent().y1 <= lowest + 1


def test_files_are_whole_and_repeatable(tmp_path):
    for name in ("one", "two"):
        save(eao_rank_plot({"ours": 0.2}), tmp_path / "new" / name)
    one, two = (
        {f.suffix: f.read_bytes() for f in tmp_path.glob(f"new/{n}.*")} for n in ("one", "two")
    )
    assert one == two and set(one) == {".png", ".pdf"}
    assert b"/CIDFontType2" in one[".pdf"] and b"/Type3" not in one[".pdf"], "TrueType"


def test_no_tracker_is_refused():
    for draw_nothing in (
        lambda: speed_plot({}, "AUC"),
        lambda: eao_rank_plot({}),
        lambda: attribute_radar({"one": {"IV": 1.0}}, {"IV": 1}),
    ):
        with pytest.raises(InputError):
            draw_nothing()
