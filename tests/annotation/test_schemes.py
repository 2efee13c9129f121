"""What annotation costs, against the paper's sums, and how it is told."""

import json

import pytest
import yaml
from click.testing import CliRunner

from socl_pipeline.annotation.schemes import all_schemes, scheme_cost
from socl_pipeline.cli import cli
from socl_pipeline.errors import InputError
from socl_pipeline.settings import CostSettings

GOT10K = 1_400_000  # frames (paper 1)


def test_the_paper_sums_come_out():
    boxes, points, mixed = all_schemes(GOT10K, GOT10K // 10, CostSettings())
    assert boxes.hours == pytest.approx(3967, abs=1)  # section 1
    assert points.hours == pytest.approx(880, abs=3)  # Table 2's budget of all clicks
    assert mixed.hours == pytest.approx(1200, rel=0.03)  # supplement H
    assert mixed.seconds_per_frame == pytest.approx(3.16, abs=0.005)  # 3.3
    fees = [(c.annotation_fee, c.training_fee, c.total_fee) for c in (boxes, points)]
    assert fees[0] == pytest.approx((50_400, 7.2, 50_407.2))  # Table 4
    assert fees[1] == pytest.approx((7_000, 21.6, 7_021.6))
    assert mixed.training_fee is None


def test_a_wage_takes_the_place_of_fees_and_pays_for_people_only():
    cost = scheme_cost("points", 3600, 0, CostSettings(wage=10, click_seconds=2, top_seconds=1))
    assert (cost.annotator_hours, cost.computer_hours, cost.annotation_fee) == (2, 1, 20)


def test_checking_boxes_takes_time():
    cost = scheme_cost("mixed", 100, 10, CostSettings(verify_seconds=5.7))
    plain = scheme_cost("mixed", 100, 10, CostSettings())
    assert 3600 * (cost.hours - plain.hours) == pytest.approx(57)


@pytest.mark.parametrize(("frames", "boxes"), [(0, 0), (5, 6), (5, -1)])
def test_impossible_numbers_are_refused(frames, boxes):
    with pytest.raises(InputError, match=f"{frames} frames, {boxes} of them"):
        scheme_cost("mixed", frames, boxes, CostSettings())


@pytest.fixture
def cost(raw_config, tmp_path, monkeypatch):
    """A function that runs `socl cost` on the small config."""
    monkeypatch.chdir(tmp_path)
    raw_config["costs"] = {"click_fee": 0.5}

    def run(*arguments):
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(raw_config))
        command = ["cost", "-c", "c.yaml", *arguments]
        return CliRunner().invoke(cli, command, catch_exceptions=False).output

    return run


def test_the_table_is_aligned_and_names_the_prices(cost):
    lines = cost("--frames", "1000", "--every", "4").splitlines()
    assert len({len(line) for line in lines[:4]}) == 1
    assert lines[0].split()[-4:] == ["training", "$", "total", "$"]
    assert lines[1].startswith("boxes ") and lines[3].startswith("points and sparse boxes ")
    assert lines[5].startswith("1,000 frames, 250 of them with a sparse box. 10.2 s a box, ")
    assert "taken to last 8 h on boxes, 24 h on points, ? on both, however many" in lines[5]
    assert lines[2].split()[2:5] == ["0.52", "0.11", "0.63"], "few hours have two decimals"


def test_a_dataset_is_counted_before_and_after_its_points(cost, make_job, raw_config):
    before = json.loads(cost("--json"))
    assert [c["frames"] for c in before["costs"]] == [16] * 3  # 4 videos of 4 frames
    assert [c["boxes"] for c in before["costs"]] == [16, 0, 4]
    assert before["prices"]["click_fee"] == 0.5
    raw_config["datasets"]["demo"]["points"] = {"frame_fraction": 0.5}
    job = make_job("points", raw=raw_config)
    job.execute()
    after = json.loads(cost("--json", "--dataset", "demo", "--results", str(job.results)))
    assert after["costs"][1]["annotation_fee"] == 0.5 * 8


def test_a_dataset_that_is_not_there_can_be_priced_by_its_frames(cost, raw_config):
    raw_config["datasets"]["demo"]["root"] = "nowhere"
    with pytest.raises(InputError, match=r"dataset demo cannot be counted \(.*nowhere.*--frames N"):
        cost()


def test_frames_or_a_dataset(cost):
    with pytest.raises(InputError, match="exclude each other"):
        cost("--frames", "3", "--dataset", "demo")
