"""A stage whose results change must say so: golden figures, kept with the stage's version.

If this fails after a change that was meant to change results, raise the stage's `version` in
`pipeline/stages.py` and write the new figures here, so that artifacts made before count as stale.
"""

import numpy as np
import pyarrow.parquet as pq
import pytest

from socl_pipeline.patches.patch_set import PatchSet
from socl_pipeline.pipeline.stages import STAGES
from socl_pipeline.pseudo_boxes.table import read_pseudo_boxes
from socl_pipeline.top.store.store import TopStore

GOLDEN: dict[str, tuple[int, dict[str, float]]] = {
    "points": (1, {"frames": 16, "mean_x": 82.0}),
    "proposals": (2, {"windows": 200, "frames": 16, "edge_boxes": 58.44}),
    "top_maps": (2, {"boxes": 16.0, "score": 5.5817, "extent": 32.6366, "map": 0.052}),
    "patches": (2, {"grey": 117.2527, "extent": 20.7365, "box": 30.4505}),
    "train": (2, {"first_loss": 4.9036, "coverage": 0.8333}),
    "track": (3, {"mean_x": 64.2693, "mean_w": 44.0616}),
    "scores": (3, {"auc_eco": 0.8571, "auc_socl": 0.881, "auc_kcf": 0.8929}),
    "pseudo_boxes": (1, {"rows": 16, "mean_x": 59.25, "mean_w": 45.373, "failures": 0}),
    "box_quality": (1, {"frames": 8, "iou_kcf": 0.9571, "iou_linear": 0.9576}),
}


def points_figures(job):
    table = pq.read_table(job.output)
    return {"frames": table.num_rows, "mean_x": float(np.mean(table["x"].to_numpy()))}


def proposals_figures(job):
    stats = job.execute().stats
    edge_boxes = stats["edge_boxes_per_frame"]
    return {"windows": stats["random_windows"], "frames": stats["frames"], "edge_boxes": edge_boxes}


def top_maps_figures(job):
    store = TopStore(job.output)
    rows = store.rows(0, len(store))
    return {
        "boxes": float(rows.count.mean()),
        "score": float(rows.scores.sum(axis=1).mean()),
        "extent": float(rows.extents.mean()),
        "map": float(rows.maps.mean()),
    }


def patches_figures(job):
    patches = PatchSet(job.output)
    shown = [patches[i] for i in range(0, len(patches), 4)]
    return {
        "grey": float(np.mean([p.image.mean() for p in shown])),
        "extent": float(np.mean([p.extent for p in shown])),
        "box": float(np.mean([p.boxes.mean() for p in shown])),
    }


def train_figures(job):
    metrics = pq.read_table(job.output / "metrics.parquet")
    return {"first_loss": metrics["loss"][0].as_py(), "coverage": metrics["coverage"][0].as_py()}


def track_figures(job):
    table = pq.read_table(job.output)
    return {f"mean_{c}": float(table[c].to_numpy().mean()) for c in "xw"}


def scores_figures(job):
    rows = pq.read_table(job.output).to_pylist()
    return {f"auc_{r['tracker']}": r["auc"] for r in rows if r["sequence"] is None}


def pseudo_boxes_figures(job):
    table = read_pseudo_boxes(job.output)
    means = {f"mean_{c}": float(table[c].to_numpy().mean()) for c in "xw"}
    return means | {"rows": table.num_rows, "failures": job.execute().stats["failures"]}


def box_quality_figures(job):
    stats = job.execute().stats
    means = {f"iou_{name}": value for name, value in stats["mean_iou"].items()}
    return {"frames": stats["frames"]} | means


FIGURES = {
    "points": points_figures,
    "proposals": proposals_figures,
    "top_maps": top_maps_figures,
    "patches": patches_figures,
    "train": train_figures,
    "track": track_figures,
    "scores": scores_figures,
    "pseudo_boxes": pseudo_boxes_figures,
    "box_quality": box_quality_figures,
}


@pytest.fixture
def chain(raw_config, make_job):
    """Build the whole chain of the small demo dataset; returns the job of each stage."""
    jobs = {}
    raw_config["pseudo_boxes"] = {
        "kcf": {"kind": "track", "tracker": "kcf", "ends": "both", "smooth_scale": 1},
        "linear": {"kind": "interpolate"},
    }
    raw_config["datasets"]["demo"]["points"] = {"sparse_box_every": 3}
    raw_config["box_quality"] = {"examples": 1}
    raw_config["trackers"]["eco"] = {"kind": "eco"}
    for stage in FIGURES:
        jobs[stage] = make_job(stage, boxes="kcf", tracker="eco")
        if stage == "box_quality":
            make_job("pseudo_boxes", boxes="linear").execute()
        for tracker in ("socl", "kcf") if stage == "scores" else ():
            make_job("track", tracker=tracker).execute()
        jobs[stage].execute()
    # last, because it takes the place of the others: the search whose boxes are stored
    raw_config["proposals"]["edgeboxes"]["search"] = "opencv"
    jobs["proposals"] = make_job("proposals")
    jobs["proposals"].execute()
    return jobs


def test_results_are_those_of_their_stage_version(chain):
    for stage, measure in FIGURES.items():
        version, golden = GOLDEN[stage]
        assert STAGES[stage].version == version, f"write the figures of version {version} here"
        # another processor or library build may round differently, a changed method does more
        assert measure(chain[stage]) == pytest.approx(golden, rel=2e-2), stage
