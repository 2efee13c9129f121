import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from socl_pipeline.benchmarks import ope
from socl_pipeline.benchmarks.protocols import CURVES, METRICS, PROTOCOLS, protocol_of
from socl_pipeline.benchmarks.scores import SCHEMA, Scorer, _speed
from socl_pipeline.benchmarks.track_table import read_tracks
from socl_pipeline.benchmarks.tracks import CRASHED, FAILED, INITIALISED, MISSING, TRACKED
from socl_pipeline.datasets.manifest import Manifest
from socl_pipeline.errors import InputError
from socl_pipeline.settings import BenchmarkSettings


def rows(sequence, frames, repetition=0, **changed):
    """Return rows of a tracks table; the box of each frame is its number, whatever the pass."""
    base = {"sequence": sequence, "repetition": repetition, "y": 0.0, "w": 9.0, "h": 9.0}
    return [
        base
        | {"frame": i, "x": float(i), "seconds": 0.5, "state": TRACKED if i else INITIALISED}
        | changed
        for i in range(frames)
    ]


def write(path, content, **metadata):
    table = pa.Table.from_pylist(content)
    text = {k.encode(): json.dumps(v) for k, v in metadata.items()}
    pq.write_table(table.replace_schema_metadata(text), path)
    return path


def edit(path, change):
    """Change a stored tracks table row by row, and keep its metadata."""
    table = pq.read_table(path)
    content = [change(dict(row)) for row in table.to_pylist()]
    kept = pa.Table.from_pylist([row for row in content if row], table.schema)
    pq.write_table(kept, path.resolve())


def annotate(path, key, value):
    """Add metadata to a stored tracks table."""
    table = pq.read_table(path)
    metadata = (table.schema.metadata or {}) | {key: json.dumps(value)}
    pq.write_table(table.replace_schema_metadata(metadata), path.resolve())


def test_metrics_and_curves_are_columns_of_the_table():
    assert {*METRICS, *CURVES} <= set(SCHEMA.names)
    for protocol in PROTOCOLS.values():
        assert set(protocol.headline) <= set(METRICS)
        assert protocol.conventions[0] == "official"
    assert PROTOCOLS["ope"].conventions == tuple(ope.CONVENTIONS)


def test_thresholds_of_curves_end_where_the_registry_says():
    assert ope.SUCCESS_THRESHOLDS[-1] == CURVES["success_curve"]
    assert ope.PRECISION_THRESHOLDS[-1] == CURVES["precision_curve"]
    assert ope.NORM_PRECISION_THRESHOLDS[-1] == CURVES["norm_precision_curve"]


def test_protocol_is_the_configs_or_else_the_manifests():
    place = {"layout": "got10k", "root": "r", "licence": "l"}
    manifest = Manifest(name="n", title="t", protocol="got10k", **place)
    settings = BenchmarkSettings(manifest="m.yaml")
    assert protocol_of(settings, manifest).name == "got10k"
    chosen = settings.model_copy(update={"protocol": "ope", "convention": "pysot"})
    assert protocol_of(chosen, manifest).name == "ope"
    wrong = settings.model_copy(update={"convention": "pysot"})
    with pytest.raises(InputError, match="convention 'pysot': protocol got10k has official"):
        protocol_of(wrong, manifest)


def test_an_unknown_convention_is_named_with_its_benchmark(raw_config, make_job):
    raw_config["benchmarks"]["val"]["convention"] = "matlab"
    with pytest.raises(InputError, match=r"^benchmarks.val: convention 'matlab': protocol ope has"):
        _ = make_job("scores").params


def test_passes_are_read_by_sequence_and_repetition(tmp_path):
    content = [*rows("a", 2), *rows("a", 2, 1), *rows("b", 3), *rows("b", 3, 1)]
    found = read_tracks(
        write(tmp_path / "t.parquet", content, crashed={"b": "no"}), {"b": 3, "a": 2}
    )
    assert list(found.tracks) == ["b", "a"] and found.missing == ()
    assert [len(run.boxes) for run in found.tracks["b"].runs] == [3, 3]
    np.testing.assert_array_equal(found.tracks["a"].runs[1].boxes[:, 0], [0, 1])
    assert (found.tracks["a"].failed, found.tracks["b"].failed) == (None, "no")


def test_sequences_without_results_are_left_out_only_if_named(tmp_path):
    known = write(tmp_path / "known.parquet", rows("a", 2), missing=["b", "elsewhere"])
    found = read_tracks(known, {"a": 2, "b": 3})
    assert list(found.tracks) == ["a"] and found.missing == ("b",)
    unknown = write(tmp_path / "unknown.parquet", rows("a", 2))
    with pytest.raises(InputError, match="0 boxes of b, its truth has 3; run `socl track` again"):
        read_tracks(unknown, {"a": 2, "b": 3})
    with pytest.raises(InputError, match="none of the 1 sequences is in it"):
        read_tracks(known, {"b": 3})
    with pytest.raises(InputError, match="2 boxes of a, its truth has 4"):
        read_tracks(known, {"a": 4})


@pytest.fixture
def tracked(raw_config, make_job):
    """Return the scores job of the small demo dataset; two trackers that learn nothing have run."""
    raw_config["trackers"] = {name: {"kind": "opencv", "name": name} for name in ("kcf", "csrt")}
    job = make_job("scores")
    for upstream in job.inputs.values():
        upstream.execute()
    return job


def scored(job):
    job.stage.run(job, job.output)
    table = pq.read_table(job.output).to_pylist()
    return {(r["tracker"], r["sequence"]): r for r in table}


def test_stage_writes_the_figures_of_its_protocol_and_says_what_is_missing(tracked, make_job):
    tracker = next(iter(tracked.inputs))
    names = tracked.benchmark.names()
    whole = scored(tracked)
    row = whole[tracker, None]
    assert row["eao"] is None and row["ao"] is None and row["missing"] == 0
    assert row["auc"] == pytest.approx(np.mean([whole[tracker, n]["auc"] for n in names]))
    assert len(row["norm_precision_curve"]) == 51 and row["eao_curve"] is None

    path, lost = tracked.input(tracker), names[-1]
    boxes = pq.read_table(path).num_rows
    edit(path, lambda r: None if r["sequence"] == lost else r)
    assert pq.read_table(path).num_rows < boxes
    annotate(path, MISSING, [lost])
    part = scored(tracked)
    assert (tracker, lost) not in part and part[tracker, None]["missing"] == 1
    rest = [whole[tracker, n]["auc"] for n in names[:-1]]
    assert part[tracker, None]["auc"] == pytest.approx(np.mean(rest))


def test_stage_names_crashes_and_speed_leaves_them_out(tracked):
    tracker, other = list(tracked.inputs)[:2]
    name = tracked.benchmark.names()[0]
    path = tracked.input(tracker)

    def crash(row):
        if row["sequence"] == name and row["frame"] >= 1:
            row |= dict.fromkeys(("x", "y", "w", "h", "seconds"), float("nan"))
        return row

    edit(path, crash)
    annotate(path, CRASHED, {name: "ValueError: no"})
    found = scored(tracked)
    assert found[tracker, name]["failed"] == "ValueError: no"
    assert found[tracker, name]["frames_per_second"] is None
    count = len(tracked.benchmark.names())
    assert found[tracker, None]["failed"] == f"crashed in 1 of {count} sequences: {name}"
    assert found[other, None]["failed"] is None and found[tracker, None]["frames_per_second"] > 0


def test_stage_scores_under_other_protocols(tracked, raw_config, make_job):
    tracker = next(iter(tracked.inputs))
    for protocol in ("got10k", "trackingnet"):
        raw_config["benchmarks"]["val"] |= {"protocol": protocol, "convention": "official"}
        row = scored(make_job("scores"))[tracker, None]
        assert all(0 <= row[metric] <= 1 for metric in PROTOCOLS[protocol].headline)
        assert row["precision_curve"] is None or len(row["precision_curve"]) == 21


def test_a_scorer_keeps_no_paths_of_frames(make_job):
    job = make_job("scores")
    scorer = Scorer.of(job.config.benchmark("val"), job.benchmark)
    assert len(scorer.videos) == len(job.benchmark.names())
    assert all(len(v.boxes) and not v.frames for v in scorer.videos)


def test_only_frames_tracked_count_for_speed(tmp_path):
    content = rows("a", 4)
    content[2] |= {"state": FAILED, "seconds": 1.5}
    content[3] |= {"state": INITIALISED, "seconds": 99.0}
    found = read_tracks(write(tmp_path / "t.parquet", content), {"a": 4})
    assert _speed(found.tracks.values()) == pytest.approx(2 / 2.0)


def test_frames_after_a_crash_took_no_time(tmp_path):
    content = rows("a", 9)
    for row in content[3:]:
        row |= {"seconds": 0.0}  # as the stage writes them
    content[3]["state"] = FAILED
    found = read_tracks(write(tmp_path / "t.parquet", content, crashed={"a": "no"}), {"a": 9})
    assert _speed(found.tracks.values()) == pytest.approx(2)
