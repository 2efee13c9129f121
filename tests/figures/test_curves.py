import numpy as np
import pytest

from socl_pipeline.errors import InputError
from socl_pipeline.figures.files import figure_png
from socl_pipeline.figures.thresholds import PRECISION, SUCCESS, threshold_plot
from socl_pipeline.figures.training import loss_plot, running_mean


def success(scale):
    return np.linspace(1, 0, 21) ** scale


def success_plot(curves):
    return threshold_plot(SUCCESS, curves, "t", score="AUC")


def legend_names(fig):
    return [text.get_text() for text in fig.axes[0].get_legend().get_texts()]


def named_lines(fig):
    return {line.get_label(): line for line in fig.axes[0].lines}


def test_legend_is_sorted_by_score():
    fig = success_plot({"low": (success(3), 0.25), "high": (success(1), 0.5)})
    assert legend_names(fig) == ["[0.500] high", "[0.250] low"]


def test_style_follows_the_mapping_not_the_score():
    first = named_lines(success_plot({"a": (success(1), 0.5), "b": (success(2), 0.3)}))
    second = named_lines(success_plot({"a": (success(3), 0.2), "b": (success(2), 0.3)}))
    assert first["[0.500] a"].get_color() == second["[0.200] a"].get_color()
    assert first["[0.300] b"].get_color() == second["[0.300] b"].get_color()


def test_many_lines_have_distinct_styles():
    fig = success_plot({f"t{k}": (success(k / 9), k / 50) for k in range(42)})
    pairs = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in fig.axes[0].lines}
    assert len(pairs) == 42


def test_precision_curve_is_drawn_at_whole_pixels():
    curve = np.linspace(0, 1, 51)
    curves = {"ours": (curve, curve[20])}
    fig = threshold_plot(PRECISION, curves, "t", score="P", colors=["red"])
    line = named_lines(fig)["[0.400] ours"]
    assert line.get_color() == "red"
    np.testing.assert_array_equal(line.get_xdata(), np.arange(51))
    np.testing.assert_array_equal(line.get_ydata(), curve)


def test_loss_plot_smooths_over_the_raw_line():
    steps = np.arange(100)
    noisy = 1 + steps % 2
    fig = loss_plot(steps, {"train": noisy, "val": np.where(steps % 10, np.nan, 3.0)})
    assert legend_names(fig) == ["train", "val"]
    raw, smooth, rare = fig.axes[0].lines
    np.testing.assert_array_equal(raw.get_ydata(), noisy)
    assert np.ptp(smooth.get_ydata()[50:]) < 0.2
    np.testing.assert_array_equal(rare.get_xdata(), steps[::10])


def test_loss_plot_draws_few_values_as_they_are():
    (line,) = loss_plot([1, 2], {"train": [3.0, 1.0]}).axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), [3, 1])
    assert line.get_marker() == "o"


def test_loss_plot_without_smoothing_draws_the_values_once():
    values = np.arange(100) % 7
    (line,) = loss_plot(np.arange(100), {"train": values}, smoothing=0).axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), values)


def test_running_mean_starts_unbiased():
    np.testing.assert_allclose(running_mean([2.0, 2.0, 2.0], 0.9), 2)
    np.testing.assert_allclose(running_mean([1.0, 4.0], 0.5), [1, (0.25 + 2) / 0.75])


def test_png_is_a_png_and_repeatable():
    def draw():
        return figure_png(success_plot({"ours": (success(1), 0.5)}))

    assert draw().startswith(b"\x89PNG\r\n\x1a\n")
    assert draw() == draw()


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="no curve"):
        success_plot({})
    with pytest.raises(
        InputError, match=r"curve of 'ours' has shape \(51,\): expected .* others \(21\)"
    ):
        success_plot({"first": (np.ones(21), 0.5), "ours": (np.ones(51), 0.5)})
    with pytest.raises(InputError, match="no series"):
        loss_plot([1], {})
    with pytest.raises(InputError, match="series 'train' has shape"):
        loss_plot([1], {"train": [1, 2]})
    with pytest.raises(InputError, match="Smoothing 1"):
        loss_plot([1], {"train": [1]}, smoothing=1)
