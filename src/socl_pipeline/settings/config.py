"""The whole config, and reading it."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from socl_pipeline.errors import InputError
from socl_pipeline.presets import with_preset
from socl_pipeline.settings.datasets import BenchmarkSettings, DatasetSettings
from socl_pipeline.settings.errors import nearest, validated
from socl_pipeline.settings.section import Name, Section
from socl_pipeline.settings.top import ProposalSettings, TopMapSettings, ViewSettings
from socl_pipeline.settings.trackers import TrackerSettings
from socl_pipeline.settings.training import AnyModelSettings, PatchSettings


class ReportSettings(Section):
    """Stage `report`."""

    title: str = "SoCL: a tracker from clicks"
    examples: int = Field(4, ge=1, description="Frames shown with their TOP and weight maps.")
    palette: tuple[Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")], ...] = Field(
        ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
        min_length=1,
        description="Line colours (Okabe-Ito, readable by colour-blind people).",
    )


class Config(Section):
    """Everything a run depends on."""

    preset: Literal["default", "fast", "paper_strict"] = Field(
        "default", description="Stands in for values left out below: see socl_pipeline.presets."
    )
    datasets: dict[Name, DatasetSettings] = Field(min_length=1)
    views: ViewSettings = ViewSettings()
    proposals: ProposalSettings = ProposalSettings()
    top_maps: TopMapSettings = TopMapSettings()
    patches: PatchSettings = PatchSettings()
    models: dict[Name, AnyModelSettings] = Field(min_length=1)
    trackers: dict[Name, TrackerSettings] = Field({}, description="Compared on each benchmark.")
    benchmarks: dict[Name, BenchmarkSettings] = Field({}, description="None: nothing is scored.")
    report: ReportSettings = ReportSettings()

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, raw: Any) -> Any:
        return with_preset(raw) if isinstance(raw, dict) else raw

    @model_validator(mode="after")
    def _references(self) -> "Config":
        for name, tracker in self.trackers.items():
            model = getattr(tracker, "model", None)
            if model is not None and model not in self.models:
                near = nearest(model, self.models)
                raise ValueError(f"trackers.{name}.model: there is no model {model!r}{near}")
        return self


def load_config(path: Path) -> Config:
    """Read and validate a YAML (or JSON) config file. Raises InputError with one sentence."""
    try:
        raw = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: no such config file ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file; expected a YAML config") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return validate_config(raw, str(path))


def validate_config(raw: Any, source: str) -> Config:
    """Validate a config given as plain data; `source` names it in the error."""
    return validated(Config, raw, source)
