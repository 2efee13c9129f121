"""Scores of a table's runs, by the protocol of each benchmark."""

from socl_pipeline.benchmarks.ope import score_sequence
from socl_pipeline.benchmarks.scores import read_tracks
from socl_pipeline.benchmarks.tracks import Score, TrackerScore
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.pipeline.stages import Job, open_dataset


def benchmark_scores(job: Job, benchmark: str, progress: Progress) -> dict[str, TrackerScore]:
    """Return the score of each run on a benchmark, by its role among the inputs of a table."""
    settings = job.config.benchmark(benchmark)
    dataset = open_dataset(settings)
    truth = {name: dataset.read(name).boxes for name in dataset.names()}
    scores: dict[str, TrackerScore] = {}
    for role, upstream in job.inputs.items():
        if upstream.names.get("benchmark") == benchmark:
            own = {}
            for name, predicted, _ in read_tracks(job.input(role), truth):
                s = score_sequence(predicted, truth[name], convention=settings.convention)
                own[name] = {"auc": s.auc, "precision": s.precision, "mean_iou": s.mean_iou}
            mean = {m: sum(v[m] for v in own.values()) / len(own) for m in next(iter(own.values()))}
            scores[role] = TrackerScore(
                Score(mean, {}, 0), {n: Score(v, {}, 0) for n, v in own.items()}
            )
            progress.advance(1, role)
    return scores
