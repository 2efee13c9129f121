"""The stage."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from socl_pipeline.errors import InputError
from socl_pipeline.models import build_backbone, load_weights
from socl_pipeline.trackers.build import build_tracker


def test_the_stage_writes_weights_and_metrics(make_job, raw_config):
    model = raw_config["models"]["tiny"]
    model |= {"window": 95, "epochs": 2, "checkpoint_minutes": 0, "validation_videos": 0.25}
    model |= {"top_clip": "auto", "top_gain": "auto"}
    for stage in ("points", "proposals", "top_maps", "patches"):
        make_job(stage, raw=raw_config).execute()
    job = make_job("train", raw=raw_config)
    stats = job.execute().stats
    assert (stats["train_videos"], len(stats["held_out_videos"])) == (3, 1)
    assert stats["steps"] == 2 and np.isfinite(stats["final_loss"])
    metrics = pq.read_table(job.output / "metrics.parquet").to_pylist()
    assert [m["step"] for m in metrics] == [0, 1]
    assert metrics[-1]["loss"] == stats["final_loss"]
    assert len(pq.read_table(job.output / "validation.parquet")) == 3
    weights, metadata = load_weights(job.output / "weights.safetensors")
    build_backbone("alexnet_v1", 0).load_state_dict(weights)
    assert metadata["backbone"] == "alexnet_v1"
    assert json.loads(metadata["socl_recipe"])["stage"] == "train"
    used = json.loads((job.output / "config.json").read_text())
    assert used["model"]["top_clip"] == "auto" and used["top_maps"] == {
        "clip": stats["top_clip"],
        "gain": 10,
        "region": {"window_px": 95, "patch_px": 96},
        "grid": {"start": 39.5, "step": 8, "cells": 2},
    }
    assert not list(job.output.resolve().parent.rglob("*.pt")), "the checkpoint is gone"


def test_a_transt_is_trained_on_true_boxes_and_tracks(make_job, raw_config, tiny_transt):
    """From patches around boxes to a tracker that was built from nothing but the model's folder."""
    model = tiny_transt | {"epochs": 2, "videos_per_batch": 2, "validation_videos": 0.25}
    raw_config["models"] = {"tiny": model | {"device": "cpu", "precision": "float32"}}
    raw_config["trackers"] = {"transt": {"kind": "transt", "model": "tiny", "device": "cpu"}}
    names = {"dataset": "demo__boxes__wide", "tracker": "transt"}
    raw_config["datasets"]["demo"]["points"] = {"sparse_box_every": 3}
    for stage in ("points", "top_maps", "patches"):
        make_job(stage, **names).execute()
    job = make_job("train", **names)
    stats = job.execute().stats
    assert np.isfinite(stats["final_loss"]) and 0 <= stats["best"]["mean_iou"] <= 1
    assert stats["best"]["box_error"] == pytest.approx(1 - stats["best"]["mean_iou"])
    metrics = pq.read_table(job.output / "metrics.parquet")
    assert {"ce", "l1", "giou", "iou", "box_iou", "kept"} <= set(metrics.column_names)
    track = make_job("track", **names)
    assert track.execute().stats
    tracker = build_tracker(track.config.tracker("transt"), job.output)
    weights, _ = load_weights(job.output / "weights.safetensors")
    found = tracker._network.state_dict()
    assert found.keys() == weights.keys()
    for name, values in weights.items():  # the tracker's 1x1 convolutions have matrices
        assert torch.equal(found[name].flatten(), values.flatten()), name


def test_narrow_patches_stop_a_transt_before_it_trains(make_job, raw_config, tiny_transt):
    raw_config["models"] = {"tiny": tiny_transt}
    raw_config["trackers"] = {}
    for stage in ("points", "top_maps", "patches"):
        make_job(stage, dataset="demo__boxes").execute()
    with pytest.raises(InputError, match=r"patches\.context is 5, but a model of kind transt"):
        make_job("train", dataset="demo__boxes").execute()


def test_two_processes_train_and_one_writes(make_job, raw_config):
    """On a GPU machine there is one process for each card; here two share the CPU."""
    model = raw_config["models"]["tiny"]
    model |= {"window": 95, "epochs": 2, "checkpoint_minutes": 0, "validation_videos": 0.5}
    for stage in ("points", "proposals", "top_maps", "patches", "train"):
        alone = make_job(stage, raw=raw_config)
        expected = alone.execute()
    metrics = pq.read_table(alone.output / "metrics.parquet")
    shutil.rmtree(alone.cache / "train")
    model["processes"] = 2
    job = make_job("train", raw=raw_config)
    stats = job.execute().stats
    assert job.recipe == alone.recipe, "how many work is no part of what is learnt"
    assert (stats["steps"], stats["held_out_videos"]) == (2, expected.stats["held_out_videos"])
    found = pq.read_table(job.output / "metrics.parquet")
    assert found.schema == metrics.schema
    first, same = found["loss"][0].as_py(), metrics["loss"][0].as_py()
    assert first == pytest.approx(same, rel=1e-3)
