"""What the report takes."""

from typing import Any

from socl_pipeline.benchmarks.withheld import scored_benchmarks, withheld_benchmarks
from socl_pipeline.pipeline.job import Names, Target
from socl_pipeline.pipeline.recipes.top_maps import top_map_inputs
from socl_pipeline.settings import Config


def report_params(config: Config, names: Names) -> dict[str, Any]:
    """Return what the report shows besides its inputs, and how."""
    # how the store's maps look is no part of its digest, but the report shows them
    pictures = config.top_maps.model_dump(include={"clip", "map_size", "map_context"})
    shown = {"maps": pictures, "box_seconds": config.costs.box_seconds}
    return {**names, **config.report.model_dump(mode="json"), **shown}


def report_inputs(config: Config, names: Names) -> dict[str, Target]:
    """Return all that the report shows of a dataset; tables are not made for it."""
    inputs = top_map_inputs(config, names)
    inputs |= {stage: Target.of(stage, **names) for stage in ("top_maps", "patches")}
    inputs |= {f"model/{m}": Target.of("train", **{**names, "model": m}) for m in config.models}
    inputs |= {
        f"track/{b}/{t}": Target.of("track", **{**names, "benchmark": b, "tracker": t})
        for b in withheld_benchmarks(config)
        for t in config.trackers
    }
    return inputs | {
        f"{role}/{b}": Target.of(stage, **{**names, "benchmark": b})
        for role, stage in (("scores", "scores"), ("figures", "figure"))
        for b in scored_benchmarks(config)
    }
