"""The trainer on tiny patches: it learns, goes on exactly, and says what is wrong."""

import logging
from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from socl_pipeline.errors import InputError
from socl_pipeline.settings import SoclModelSettings
from socl_pipeline.training import trainer as trainer_module
from socl_pipeline.training import validation
from socl_pipeline.training.history import History
from socl_pipeline.training.trainer import LOW_COVERAGE, Trainer


class Killed(Exception):
    """Stands for a signal that ends the process."""


def test_the_loss_falls(trainer, progress, writer):
    run = trainer(epochs=8)
    run.run(progress, writer)
    losses = [m["loss"] for m in run.history.rows()]
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


@pytest.mark.parametrize("kind", ["socl", "bce", "transt"])
def test_a_killed_run_goes_on_exactly(trainer, progress, writer, monkeypatch, kind, tiny_transt):
    """Killed at five random steps, one after the other, some in the middle of an epoch."""
    changes = {"validation_videos": 0.2, "epochs": 4, "videos_per_batch": 2}
    changes |= tiny_transt if kind == "transt" else {"kind": kind, "window": 159}
    undisturbed = trainer("undisturbed", **changes)
    undisturbed.run(progress, writer)
    steps = 4 * undisturbed.steps_per_epoch
    real = Trainer._step
    for moment in sorted(np.random.default_rng(0).choice(steps, 5, replace=False)):
        killed = trainer("killed", **changes)
        assert killed.steps_done <= moment

        def dying(self, batch, videos, index, moment=moment):
            if self.steps_done == moment:
                raise Killed
            real(self, batch, videos, index)

        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(Trainer, "_step", dying)
            killed.run(progress, writer)
        assert killed.steps_done == moment
    resumed = trainer("killed", **changes)
    assert resumed.steps_done == moment
    resumed.run(progress, writer)

    assert list(resumed.history.rows()) == list(undisturbed.history.rows())
    assert vars(resumed.state) == vars(undisturbed.state)
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
    assert trainer("always", epochs=4).steps_done == 2


def test_a_loss_that_is_no_number_stops_the_run(trainer, progress, writer):
    run = trainer(lr=1e30, epochs=5)
    with pytest.raises(InputError, match=r"the loss is nan at step \d \(epoch \d\); lower lr"):
        run.run(progress, writer)
    saved = trainer(epochs=5)
    assert saved.steps_done > 0 and np.isfinite(saved.history.column("loss")).all()


def test_a_gradient_that_is_no_number_stops_the_run(trainer, progress, writer):
    """The loss of that step is fine, its weights are not: they are never saved."""
    run = trainer(epochs=3)
    calls = []

    def spoil(gradient):
        calls.append(None)
        return gradient * float("nan") if len(calls) == 2 else gradient

    run.backbone.conv5.weight.register_hook(spoil)
    with pytest.raises(InputError, match="the gradient is nan at step 1"):
        run.run(progress, writer)
    saved = trainer(epochs=3)
    assert saved.steps_done == 1
    assert all(p.isfinite().all() for p in saved.backbone.parameters())


def test_a_damaged_checkpoint_is_named(trainer, progress, writer):
    run = trainer(epochs=1)
    run.run(progress, writer)
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"checkpoint.pt: the checkpoint is damaged .*; delete it"):
        trainer(epochs=1)


def test_held_out_videos_are_never_trained_on(trainer, progress, writer, monkeypatch):
    run = trainer(validation_videos=0.4, epochs=3, videos_per_batch=2)
    assert len(run.held_out) == 2 and len(run.train_videos) == 3
    assert not set(run.held_out) & set(run.train_videos)
    seen = set()
    real = trainer_module.batches_ahead

    def spy(patches, batches, *args, **kwargs):
        batches = list(batches)
        seen.update(row for batch in batches for row in batch)
        return real(patches, batches, *args, **kwargs)

    monkeypatch.setattr(trainer_module, "batches_ahead", spy)
    run.run(progress, writer)
    rows = {r for v in run.train_videos for r in run.patches.videos[v]}
    assert seen <= rows and len(seen) >= 4


def test_an_epoch_of_a_transt_may_have_several_pairs_of_a_video(trainer, tiny_transt):
    once = trainer("once", videos_per_batch=2, **tiny_transt)
    run = trainer("often", videos_per_batch=2, pairs_per_video=3, **tiny_transt)
    assert run.steps_per_epoch == 3 * len(once.train_videos) // 2
    batches = list(run._batches(0))
    assert len(batches) == run.steps_per_epoch
    videos = {row: name for name, rows in run.patches.videos.items() for row in rows.tolist()}
    counts = Counter(videos[row] for batch in batches for row in batch)
    assert counts == dict.fromkeys(once.train_videos, 6)


def test_each_batch_has_pairs_of_one_video(trainer):
    run = trainer(videos_per_batch=2)
    owner = {r: v for v, rows in run.patches.videos.items() for r in rows}
    for epoch in range(3):
        batches = list(run._batches(epoch))
        assert len(batches) == run.steps_per_epoch == 2
        assert {owner[r] for rows in batches for r in rows} == set(run.train_videos)
        for rows in batches:
            videos = [owner[r] for r in rows]
            assert videos[::2] == videos[1::2] and len(set(videos)) == len(videos) / 2
            assert (np.array(rows[::2]) != rows[1::2]).all()
    assert list(run._batches(0)) == list(run._batches(0)) != list(run._batches(1))


def test_the_best_trained_weights_are_kept(trainer, progress, writer, monkeypatch, caplog):
    errors = iter([2.5, 9.0, 3.0, 3.0, 7.0])  # before training, then after each epoch
    snapshots = []

    def judge(backbone, pairs, device):
        snapshots.append({k: v.clone() for k, v in backbone.state_dict().items()})
        return {"hit_rate": 0.5, "mean_error_px": next(errors)}

    monkeypatch.setattr(validation, "localisation", judge)
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
    run.history = History({"coverage": Tensor([0.9, *[0.5] * 50])})
    with caplog.at_level(logging.WARNING):
        run._warn_about_coverage()
    assert "covers only 50 % of the TOP extent" in caplog.text
    caplog.clear()
    run.history = History({"coverage": Tensor([0.7])})
    run._warn_about_coverage()
    assert not caplog.records


def test_coverage_is_high_where_the_map_is_the_target(trainer, progress, writer):
    run = trainer(epochs=1)
    run.run(progress, writer)
    (metrics,) = run.history.rows()
    assert LOW_COVERAGE < metrics["coverage"] <= 1
    assert 0 < metrics["masked"] < 0.9


def test_the_rate_reaches_the_optimizer(trainer, progress, writer):
    run = trainer(epochs=2, lr=1e-3, lr_decay_epochs=[1])
    run.run(progress, writer)
    assert run.history.column("lr") == pytest.approx([1e-3, 1e-4])
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)


def test_too_few_videos(make_patches, textured, tmp_path):
    one = make_patches({"a": [textured(0, 160, 160)] * 2}, target=40, folder="one")
    with pytest.raises(InputError, match=r"needs 2 videos, the patches have 1; .*tables\.hours"):
        Trainer(SoclModelSettings(window=127), one, tmp_path, torch.device("cpu"))
