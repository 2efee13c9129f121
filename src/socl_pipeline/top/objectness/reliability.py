"""How good fitted objectness is on images that it was not fitted on: figures and a plot."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray
from scipy.stats import rankdata

from socl_pipeline.figures.files import figure_png
from socl_pipeline.figures.style import OKABE_ITO
from socl_pipeline.pipeline.artifact import atomic_path
from socl_pipeline.top.cues.image import CueSettings
from socl_pipeline.top.objectness.fit import FitOptions, LabelledWindows, fit_tables
from socl_pipeline.top.objectness.model import ObjectnessModel

Float = NDArray[np.floating]

FOLDS = 5
FOLD_SEED = 0
BINS = 10  # of the predicted probability, equally wide
MOST_EVIDENCE = 5.0  # shown, in nats
NAMES = {"ms": "MS (saliency)", "cc": "CC (contrast)", "ed": "ED (edges)", "size": "SZ (ln size)"}


@dataclass(frozen=True)
class HeldOut:
    """Posteriors (n,) of windows by tables that did not see their image, and the labels (n,).

    folds: how many parts the images were split into. auc: of all windows together. object_auc:
    mean over the objects of the AUC among their own windows, which is what ranking needs.
    brier: mean squared error of the posterior. prior_brier: that of always saying the prior.
    """

    posterior: Float
    is_object: NDArray[np.bool_]
    folds: int
    auc: float
    object_auc: float
    brier: float
    prior_brier: float

    def sentence(self) -> str:
        """Return the figures as one line."""
        return (
            f"{self.folds}-fold held out: AUC {self.auc:.3f}, within an object "
            f"{self.object_auc:.3f}, Brier {self.brier:.4f} (prior alone {self.prior_brier:.4f})"
        )


def held_out(
    windows: LabelledWindows, thetas: CueSettings, options: FitOptions, folds: int = FOLDS
) -> HeldOut | None:
    """Return what tables fitted on the other folds say; None for a single image or video.

    Thetas are not searched again in each fold: two numbers from thousands of windows.
    """
    groups = np.unique(windows.group)
    folds = min(folds, len(groups))
    if folds < 2:
        return None
    order = np.random.default_rng(FOLD_SEED).permutation(len(groups))
    fold = (order % folds)[np.searchsorted(groups, windows.group)]
    posterior = np.zeros(len(fold))
    for k in range(folds):
        rest, part = windows.take(fold != k), windows.take(fold == k)
        model = fit_tables(rest, thetas, "other folds", options)
        posterior[fold == k] = model.posterior(part.cues, part.log_side)
    prior = windows.is_object.mean()
    return HeldOut(
        posterior=posterior,
        is_object=windows.is_object,
        folds=folds,
        auc=auc(posterior, windows.is_object),
        object_auc=within_object_auc(posterior, windows),
        brier=float(((posterior - windows.is_object) ** 2).mean()),
        prior_brier=float(prior * (1 - prior)),
    )


def auc(scores: Float, is_object: NDArray[np.bool_]) -> float:
    """Return the probability that an object scores above background (ties count half).

    scores, is_object: (n,). NaN unless there are both.
    """
    positive = int(is_object.sum())
    negative = len(is_object) - positive
    if not positive or not negative:
        return float("nan")
    wins = rankdata(scores)[is_object].sum() - positive * (positive + 1) / 2
    return float(wins / (positive * negative))


def within_object_auc(scores: Float, windows: LabelledWindows) -> float:
    """Return the mean, over objects, of the AUC of scores (n,) among the windows around each."""
    starts = np.flatnonzero(np.diff(windows.object)) + 1  # windows of an object stand together
    parts = zip(np.split(scores, starts), np.split(windows.is_object, starts), strict=True)
    each = np.array([auc(*part) for part in parts])
    known = np.isfinite(each)
    return float(each[known].mean()) if known.any() else float("nan")


def reliability(
    posterior: Float, is_object: NDArray[np.bool_], bins: int = BINS
) -> tuple[Float, Float, NDArray[np.integer]]:
    """Return mean prediction, observed share and count (bins,) of windows by posterior (n,).

    Bins are equally wide; the mean and the share of an empty one are NaN.
    """
    which = np.minimum((posterior * bins).astype(int), bins - 1)
    count = np.bincount(which, minlength=bins)
    size = np.where(count > 0, count, np.nan)
    predicted = np.bincount(which, posterior, bins) / size
    observed = np.bincount(which, is_object, bins) / size
    return predicted, observed, count


def objectness_plot(model: ObjectnessModel, result: HeldOut | None) -> Figure:
    """Draw the tables and, above them, how well held-out predictions hold (None: tables only)."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    rows = 2 if result else 1
    fig = Figure(figsize=(9.0, 2.6 + 4.6 * (rows - 1)), layout=layout, facecolor="white")
    parts = fig.subfigures(rows, 1, height_ratios=[1.7, 1][2 - rows :], squeeze=False)[:, 0]
    if result:
        _draw_reliability(parts[0], result)
    _draw_tables(parts[-1], model)
    return fig


def write_plot(path: Path, model: ObjectnessModel, result: HeldOut | None) -> None:
    """Write `objectness_plot` as a PNG."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(figure_png(objectness_plot(model, result)))


def _draw_reliability(part: Any, result: HeldOut) -> None:
    predicted, observed, count = reliability(result.posterior, result.is_object)
    left, right = part.subplots(1, 2)
    part.suptitle(result.sentence(), fontsize=11)
    known = count > 0
    left.plot([0, 1], [0, 1], color="#888888", linewidth=0.9, label="calibrated")
    left.plot(
        predicted[known],
        observed[known],
        color=OKABE_ITO[0],
        marker="o",
        linewidth=1.8,
        label="held out",
        clip_on=False,
    )
    left.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    left.set_xlabel("Predicted posterior")
    left.set_ylabel("Share of windows with an object")
    left.legend(loc="upper left", fontsize=9, framealpha=0.9, edgecolor="#CCCCCC")
    middle = (np.arange(BINS) + 0.5) / BINS
    shown = right.bar(middle[known], count[known], width=0.9 / BINS, color=OKABE_ITO[5])
    right.bar_label(shown, labels=[f"{c:,}" for c in count[known]], fontsize=7, padding=2)
    right.set_yscale("log")
    right.set(xlim=(0, 1), ylim=(0.7, count.max() * 4))
    right.set_xlabel("Predicted posterior")
    right.set_ylabel("Windows (log scale)")
    for ax in (left, right):
        _plain(ax)


def _draw_tables(part: Any, model: ObjectnessModel) -> None:
    axes = part.subplots(1, len(model.cues), sharey=True, squeeze=False)[0]
    for i, (cue, ax) in enumerate(zip(model.cues, axes, strict=True)):
        edges = model.edges[cue]
        ax.axhline(0, color="#888888", linewidth=0.9)
        ax.stairs(
            model.log_ratio[cue],
            _outer(edges),
            baseline=None,
            color=OKABE_ITO[i % len(OKABE_ITO)],
            linewidth=1.6,
        )
        ax.set_xlabel(NAMES[cue])
        _plain(ax)
    low, high = axes[0].get_ylim()  # empty bins of the release go beyond 20
    axes[0].set_ylim(max(low, -MOST_EVIDENCE), min(high, MOST_EVIDENCE))
    axes[0].set_ylabel("ln p(cue | object)\n- ln p(cue | background)")


def _outer(edges: Float) -> Float:
    """Return edges (b - 1,) with an end on either side (b + 1,): the outer bins have none."""
    if not len(edges):
        return np.array([0.0, 1.0])
    step = max(float(np.ptp(edges)) / max(len(edges) - 1, 1), 1e-6)
    low = edges[0] - step
    if edges[0] >= 0:  # all cues but the log of the size start at 0
        low = max(low, 0.0)
    return np.array([low, *edges, edges[-1] + step])


def _plain(ax: Any) -> None:
    ax.grid(color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=9)
    ax.spines[["top", "right"]].set_visible(False)
