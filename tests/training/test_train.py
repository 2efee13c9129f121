"""The trainer on tiny patches: it learns, goes on exactly, and says what is wrong."""

import json
import logging
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from socl_pipeline.errors import InputError
from socl_pipeline.models import build_backbone, load_weights
from socl_pipeline.settings import SoclModelSettings
from socl_pipeline.socl.prior import CellGrid
from socl_pipeline.training import train, validation
from socl_pipeline.training.train import Trainer, projection_head, split_videos, target_share

SIZE = 160
TINY = {
    "window": 127,
    "videos_per_batch": 5,
    "epochs": 3,
    "lr": 1e-3,
    "validation_videos": 0,
    "validate_every": 1,
    "checkpoint_minutes": 0,
    "augment": {"shift_px": 8},
    "precision": "float32",
    "device": "cpu",
}


class Killed(Exception):
    """Stands for a signal that ends the process."""


@pytest.fixture(autouse=True)
def few_validation_pairs(monkeypatch):
    monkeypatch.setattr(validation, "PAIRS_PER_VIDEO", 1)


@pytest.fixture
def writer():
    return SimpleNamespace(add_scalar=lambda *args: None)


@pytest.fixture
def patches(make_patches, textured):
    """Five videos of three frames; each has its own texture in the middle, others around."""
    videos = {}
    for v in range(5):
        target = textured(v, 32, 32)
        videos[f"video{v}"] = []
        for frame in range(3):
            image = textured(100 + 10 * v + frame, SIZE, SIZE, cells=12) // 2 + 40
            image[64:96, 64:96] = target
            videos[f"video{v}"].append(image)
    return make_patches(videos, target=32)


@pytest.fixture
def trainer(patches, tmp_path):
    def make(folder="run", **changes):
        (tmp_path / folder).mkdir(exist_ok=True)
        settings = SoclModelSettings.model_validate(TINY | changes)
        return Trainer(settings, patches, tmp_path / folder)

    return make


def test_the_loss_falls(trainer, progress, writer):
    run = trainer(epochs=8)
    run.run(progress, writer)
    losses = [m["loss"] for m in run.state.metrics]
    assert len(losses) == 8
    assert np.mean(losses[-2:]) < 0.8 * np.mean(losses[:2]), losses


def test_backbone_and_head_are_trained(trainer, progress, writer):
    run = trainer(epochs=1, projection_head=True)
    before = {k: v.clone() for k, v in run.network.state_dict().items()}
    run.run(progress, writer)
    changed = {
        k.split(".")[0] for k, v in run.network.state_dict().items() if (v != before[k]).any()
    }
    assert changed == {"backbone", "head"}


@pytest.mark.parametrize("killed_at", [0, 1, 2])
def test_a_killed_run_goes_on_exactly(trainer, progress, writer, monkeypatch, killed_at):
    changes = {"validation_videos": 0.2, "epochs": 3}
    undisturbed = trainer("undisturbed", **changes)
    undisturbed.run(progress, writer)

    real = Trainer._epoch

    def dying(self, *args):
        if self.state.epoch == killed_at:
            raise Killed
        real(self, *args)

    monkeypatch.setattr(Trainer, "_epoch", dying)
    with pytest.raises(Killed):
        trainer("killed", **changes).run(progress, writer)
    monkeypatch.undo()
    monkeypatch.setattr(validation, "PAIRS_PER_VIDEO", 1)
    resumed = trainer("killed", **changes)
    assert resumed.state.epoch == killed_at
    resumed.run(progress, writer)

    assert resumed.state.metrics == undisturbed.state.metrics
    assert resumed.state.validation == undisturbed.state.validation
    assert resumed.state.best_error_px == undisturbed.state.best_error_px
    for state in ("network", "optimizer"):
        ours, theirs = (getattr(t, state).state_dict() for t in (resumed, undisturbed))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    torch.testing.assert_close(resumed.best, undisturbed.best, rtol=0, atol=0)


def test_checkpoints_wait_for_their_time(trainer, progress, writer):
    run = trainer(checkpoint_minutes=60, epochs=2)
    run.run(progress, writer)
    assert not run.checkpoint.exists()
    always = trainer("always", epochs=2)
    always.run(progress, writer)
    assert always.checkpoint.exists()
    assert trainer("always", epochs=4).state.epoch == 2


def test_a_loss_that_is_no_number_stops_the_run(trainer, progress, writer):
    run = trainer(lr=1e30, epochs=5)
    with pytest.raises(InputError, match=r"the loss is nan at step \d \(epoch \d\); lower lr"):
        run.run(progress, writer)
    assert all(np.isfinite(m["loss"]) for m in run.state.metrics)


def test_held_out_videos_are_never_trained_on(trainer, progress, writer, monkeypatch):
    run = trainer(validation_videos=0.4, epochs=3, videos_per_batch=2)
    assert len(run.held_out) == 2 and len(run.train_videos) == 3
    assert not set(run.held_out) & set(run.train_videos)
    seen = set()
    real = train.batches_ahead

    def spy(patches, batches, workers):
        seen.update(row for batch in batches for row in batch)
        return real(patches, batches, workers)

    monkeypatch.setattr(train, "batches_ahead", spy)
    run.run(progress, writer)
    rows = {r for v in run.train_videos for r in run.patches.videos[v]}
    assert seen <= rows and len(seen) >= 4


def test_each_batch_has_pairs_of_one_video(trainer):
    run = trainer(videos_per_batch=2)
    owner = {r: v for v, rows in run.patches.videos.items() for r in rows}
    for epoch in range(3):
        batches = list(run._pairs(epoch))
        assert len(batches) == run.steps_per_epoch == 2
        assert {owner[r] for rows in batches for r in rows} == set(run.train_videos)
        for rows in batches:
            videos = [owner[r] for r in rows]
            assert videos[::2] == videos[1::2] and len(set(videos)) == len(videos) / 2
            assert (np.array(rows[::2]) != rows[1::2]).all()
    assert list(run._pairs(0)) == list(run._pairs(0)) != list(run._pairs(1))


def test_the_best_trained_weights_are_kept(trainer, progress, writer, monkeypatch, caplog):
    errors = iter([2.5, 9.0, 3.0, 3.0, 7.0])  # before training, then after each epoch
    snapshots = []

    def judge(backbone, pairs, device):
        snapshots.append({k: v.clone() for k, v in backbone.state_dict().items()})
        return {"hit_rate": 0.5, "mean_error_px": next(errors)}

    monkeypatch.setattr(train, "localisation", judge)
    run = trainer(validation_videos=0.2, epochs=4)
    run.run(progress, writer)
    assert [v["epoch"] for v in run.state.validation] == [0, 1, 2, 3, 4]
    assert [v["step"] for v in run.state.validation] == [0, 1, 2, 3, 4]
    torch.testing.assert_close(run.best_backbone().state_dict(), snapshots[2], rtol=0, atol=0)
    assert "never beat the untrained network" in caplog.text


def test_validations_by_epoch_and_at_the_end(trainer, progress, writer):
    run = trainer(validation_videos=0.2, epochs=3, validate_every=2)
    run.run(progress, writer)
    assert [v["epoch"] for v in run.state.validation] == [0, 2, 3]


def test_a_mask_that_misses_the_target_is_warned_of(trainer, caplog):
    run = trainer(top_clip=0.02)
    run.state.metrics = [{"coverage": c} for c in (0.9, *[0.5] * 50)]
    with caplog.at_level(logging.WARNING):
        run._warn_about_coverage()
    assert "covers only 50 % of the TOP extent" in caplog.text and "0.02" in caplog.text
    caplog.clear()
    run.state.metrics = [{"coverage": 0.7}]
    run._warn_about_coverage()
    assert not caplog.records


def test_coverage_is_high_where_the_map_is_the_target(trainer, progress, writer):
    run = trainer(epochs=1)
    run.run(progress, writer)
    (metrics,) = run.state.metrics
    assert train.LOW_COVERAGE < metrics["coverage"] <= 1
    assert 0 < metrics["masked"] < 0.9


def test_rate_is_cut_at_the_decay_epochs(trainer):
    run = trainer(lr=1.0, lr_decay_epochs=[2, 5])
    rates = [run.learning_rate(e) for e in (0, 1, 2, 4, 5, 9)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_the_rate_reaches_the_optimizer(trainer, progress, writer):
    run = trainer(epochs=2, lr=1e-3, lr_decay_epochs=[1])
    run.run(progress, writer)
    assert [m["lr"] for m in run.state.metrics] == pytest.approx([1e-3, 1e-4])
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)


def test_the_clip_follows_the_size_of_the_target(trainer):
    run = trainer()
    assert run.clip == pytest.approx(min(0.5, (32 / 48) ** 2))
    assert trainer(top_clip=0.3).clip == 0.3
    assert target_share(64, CellGrid(39.5, 8, 22)) == pytest.approx((64 / 176) ** 2)
    assert target_share(500, CellGrid(39.5, 8, 22)) == 0.5, "some background is always left"


def test_too_few_videos(make_patches, textured, tmp_path):
    one = make_patches({"a": [textured(0, SIZE, SIZE)] * 2}, target=40, folder="one")
    with pytest.raises(InputError, match="needs 2 videos, the patches have 1"):
        Trainer(SoclModelSettings.model_validate(TINY), one, tmp_path)


@pytest.mark.parametrize(
    ("count", "share", "held"), [(10, 0.2, 2), (10, 0, 0), (3, 0.8, 1), (2, 0.5, 0), (1, 0.5, 0)]
)
def test_split(count, share, held):
    names = [f"v{i}" for i in range(count)]
    kept, out = split_videos(names, share, seed=1)
    assert len(out) == held and sorted(kept + out) == sorted(names)
    assert (kept, out) == split_videos(names, share, seed=1)


def test_splits_differ_by_seed():
    names = [f"v{i}" for i in range(20)]
    assert len({tuple(split_videos(names, 0.2, s)[1]) for s in range(8)}) > 4


def test_projection_head():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    head = projection_head(256, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert head(torch.zeros(1, 256, 4, 5)).shape == (1, 64, 4, 5)
    again = projection_head(256, seed=1)
    torch.testing.assert_close(head.state_dict(), again.state_dict(), rtol=0, atol=0)


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
