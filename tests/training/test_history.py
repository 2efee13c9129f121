import math

import pyarrow.parquet as pq
import pytest
import torch

from socl_pipeline.training.history import History, first_not_finite


@pytest.fixture
def history():
    found = History()
    for step in range(3):
        known = {"step": step, "epoch": step // 2, "lr": 0.1}
        found.add(known, {"loss": torch.tensor(step + 0.5), "accuracy": torch.tensor(1.0)})
    return found


def test_rows_are_kept_when_they_are_fetched(history):
    assert (len(history), history.pending) == (0, 3)
    rows = history.fetch()
    assert rows[2] == {"step": 2, "epoch": 1, "lr": 0.1, "loss": 2.5, "accuracy": 1.0}
    assert (len(history), history.pending) == (3, 0)
    assert history.fetch() == []
    assert list(history.rows()) == rows
    assert history.column("loss") == [0.5, 1.5, 2.5] and history.column("loss", 2) == [1.5, 2.5]
    assert history.column("coverage") == []


def test_a_checkpoint_carries_it_on_exactly(history):
    history.fetch()
    again = History(history.columns())
    assert list(again.rows()) == list(history.rows())
    again.add(
        {"step": 3, "epoch": 1, "lr": 0.1}, {"loss": torch.ones(()), "accuracy": torch.ones(())}
    )
    again.fetch()
    assert again.column("step") == [0, 1, 2, 3]


def test_steps_are_whole_numbers_in_the_file(history, tmp_path):
    history.fetch()
    history.write(tmp_path / "m.parquet")
    table = pq.read_table(tmp_path / "m.parquet")
    assert [str(f.type) for f in table.schema] == ["int64", "int64", "double", "double", "double"]
    assert table["step"].to_pylist() == [0, 1, 2]


def test_the_first_loss_that_is_no_number():
    fine = {"step": 0, "loss": 1.0, "gradient": 2.0}
    wrong = {"step": 2, "loss": math.inf, "gradient": 2.0}
    assert first_not_finite([fine]) is None
    assert first_not_finite([fine, wrong, fine]) == wrong
    steep = {"step": 1, "loss": 1.0, "gradient": math.nan}
    assert first_not_finite([fine, steep, wrong]) == steep
