"""The pictures of `box_quality`: overlap by video, and the best and the worst frames."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from socl_pipeline.pseudo_boxes.quality import Measured
from socl_pipeline.report.pictures import Image, draw_boxes, draw_truth
from socl_pipeline.trackers.crops import crop_square

Float = NDArray[np.floating]

MOST_VIDEOS = 60  # more rows could not be read: the control's worst and best are shown
_WIDTH = 8.0  # inches
_ROW = 0.19  # inches, of a video
_PANEL = (2.6, 2.8)  # inches, of a frame with its title
_SIDE = 300  # px of a panel
_SURROUNDINGS = 2.5  # side of a panel over the extent of its boxes: the smallest targets show
_LEAST_SIDE = 40.0  # px of the frame
_MARKERS = "osD^v<>P"


def videos_picture(
    entries: Sequence[Measured],
    names: Sequence[str],
    order_by: Measured,
    colors: Sequence[str],
) -> Figure:
    """Draw the mean IoU of each video (a row) by each entry (a dot).

    names: of the videos, by their number. order_by: the entry whose best video comes first; of
    more than `MOST_VIDEOS`, those in the middle are left out.
    """
    labels = [names[number] for number in np.unique(order_by.videos)]
    shown = np.argsort(-order_by.by_video("iou"), kind="stable")
    title = "Mean IoU with the true boxes"
    if len(shown) > MOST_VIDEOS:
        half = MOST_VIDEOS // 2
        title += f": the best and the worst {half} of {len(shown)} videos by {order_by.name}"
        shown = np.concatenate([shown[:half], shown[-half:]])
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    fig = Figure(figsize=(_WIDTH, 1.5 + _ROW * len(shown)), layout=layout, facecolor="white")
    ax = fig.add_subplot()
    places = np.arange(len(shown))
    for i, entry in enumerate(entries):
        ax.plot(
            entry.by_video("iou")[shown],
            places,
            linestyle="none",
            marker=_MARKERS[i % len(_MARKERS)],
            markersize=5,
            markerfacecolor="none" if i >= len(colors) else colors[i],
            color=colors[i % len(colors)],
            clip_on=False,
            label=f"{entry.name} ({entry.values['iou'].mean():.3f})",
        )
    ax.set_yticks(places, [labels[i] for i in shown], fontsize=8)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xlim(right=1)
    ax.set_xlabel("mean IoU on frames without a sparse box", fontsize=10)
    ax.set_title(title, fontsize=12)
    ax.grid(color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    fig.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return fig


def frame_panel(image: Image, truth: Float, box: Float) -> Image:
    """Return the square of a frame around a true box and a pseudo box, with both.

    The pseudo box is a thin line, so that the true one shows below it.
    """
    both = np.stack([truth, box])
    low, high = both[:, :2].min(axis=0), (both[:, :2] + both[:, 2:]).max(axis=0)
    side = max(_SURROUNDINGS * float((high - low).max()), _LEAST_SIDE)
    scale = _SIDE / side
    corner = np.array([*((low + high) / 2 - side / 2), 0, 0])
    panel = crop_square(image, (low + high) / 2, side, _SIDE, (255, 255, 255))
    shown = draw_truth(panel, (truth - corner) * scale)
    return draw_boxes(shown, (box - corner)[None] * scale, np.ones(1))


def frames_picture(title: str, rows: Sequence[tuple[str, Sequence[tuple[str, Image]]]]) -> Figure:
    """Draw rows of panels, each row with a name and each panel with a title above it."""
    columns = max(1, *(len(panels) for _, panels in rows))
    width, height = _PANEL[0] * columns, _PANEL[1] * len(rows) + 0.4
    layout = ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05)
    fig = Figure(figsize=(max(width, 6.0), height), layout=layout, facecolor="white")
    fig.suptitle(title, fontsize=11)
    grid = fig.subplots(len(rows), columns, squeeze=False)
    for axes, (name, panels) in zip(grid, rows, strict=True):
        for ax in axes:
            ax.set_axis_off()
        for ax, (label, image) in zip(axes, panels, strict=False):
            ax.imshow(image)
            ax.set_title(f"{name}: {label}", fontsize=7)
    return fig
