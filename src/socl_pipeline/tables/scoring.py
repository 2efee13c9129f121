"""Scores of a table's runs, by the protocol of each benchmark."""

from socl_pipeline.benchmarks.scores import Scorer
from socl_pipeline.benchmarks.tracks import TrackerScore
from socl_pipeline.pipeline.job import Job, open_dataset
from socl_pipeline.pipeline.progress import Progress


def benchmark_scores(job: Job, benchmark: str, progress: Progress) -> dict[str, TrackerScore]:
    """Return the score of each run on a benchmark, by its role among the inputs of a table."""
    settings = job.config.benchmark(benchmark)
    scorer = Scorer.of(settings, open_dataset(settings))
    scores: dict[str, TrackerScore] = {}
    for role, upstream in job.inputs.items():
        if upstream.names["benchmark"] == benchmark:
            scores[role] = scorer.score(scorer.read(job.input(role)))
            progress.advance(1, role)
    return scores
