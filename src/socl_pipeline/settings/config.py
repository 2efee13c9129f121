"""The whole config, and reading it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from socl_pipeline.errors import InputError
from socl_pipeline.presets import overlay, with_preset
from socl_pipeline.settings.costs import CostSettings
from socl_pipeline.settings.datasets import BenchmarkSettings, DatasetSettings
from socl_pipeline.settings.derived import (
    declared,
    derived_dataset,
    derived_model,
    derived_name,
    derived_tracker,
    split_name,
    table_of,
)
from socl_pipeline.settings.errors import nearest, validated
from socl_pipeline.settings.models import AnyModelSettings
from socl_pipeline.settings.pseudo_boxes import BoxQualitySettings, PseudoBoxSettings
from socl_pipeline.settings.section import OwnName, Section
from socl_pipeline.settings.tables import (
    TableSettings,
    TablesSettings,
    VariantSettings,
    packaged_tables,
)
from socl_pipeline.settings.top import ProposalSettings, TopMapSettings, ViewSettings
from socl_pipeline.settings.trackers import TrackerSettings
from socl_pipeline.settings.training import BceModelSettings, PatchSettings


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
    datasets: dict[OwnName, DatasetSettings] = Field(min_length=1)
    views: ViewSettings = ViewSettings()
    proposals: ProposalSettings = ProposalSettings()
    top_maps: TopMapSettings = TopMapSettings()
    patches: PatchSettings = PatchSettings()
    models: dict[OwnName, AnyModelSettings] = Field({}, description="None: nothing is trained.")
    trackers: dict[OwnName, TrackerSettings] = Field({}, description="Compared on each benchmark.")
    benchmarks: dict[OwnName, BenchmarkSettings] = Field({}, description="None: nothing is scored.")
    pseudo_boxes: dict[OwnName, PseudoBoxSettings] = Field(
        {}, description="Boxes between the sparse ones; none: none are made."
    )
    box_quality: BoxQualitySettings = BoxQualitySettings()
    variants: VariantSettings = Field(
        VariantSettings(), description="Of your own, beside those of the paper's tables."
    )
    tables: TablesSettings = TablesSettings()
    costs: CostSettings = CostSettings()
    report: ReportSettings = ReportSettings()

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, raw: Any) -> Any:
        return with_preset(raw) if isinstance(raw, dict) else raw

    @model_validator(mode="after")
    def _references(self) -> "Config":
        for name, tracker in self.trackers.items():
            if model := getattr(tracker, "model", None):
                self._refer(f"trackers.{name}.model", "model", split_name(model)[0], self.models)
            self.tracker(name)
        for name, boxes in self.pseudo_boxes.items():
            if tracker_name := getattr(boxes, "tracker", None):
                key = f"pseudo_boxes.{name}.tracker"
                self._refer(key, "tracker", split_name(tracker_name)[0], self.trackers)
                if self.tracker(tracker_name).kind == "results":
                    raise ValueError(
                        f"{key}: {tracker_name!r} is of kind results, whose boxes are in files: it "
                        "cannot be run"
                    )
        for name in self.datasets:
            self._refuse_circle(name, self.for_dataset(name).top_maps)
        for model in self.models.values():
            self._refuse_own_boxes(model)
        control = self.box_quality.control
        self._refer("box_quality.control", "entry of pseudo_boxes", control, self.pseudo_boxes)
        given = self.tables
        self._refer("tables.model", "model", given.model, self.models)
        self._refer("tables.tracker", "tracker", given.tracker, self.trackers)
        self._refer("tables.cf_tracker", "tracker", given.cf_tracker, self.trackers)
        if given.cf_tracker and not _learnt_filter(self.trackers[given.cf_tracker]):
            raise ValueError(
                f"tables.cf_tracker: {given.cf_tracker!r} must be of kind eco and name a model"
            )
        self._refer("tables.transt_tracker", "tracker", given.transt_tracker, self.trackers)
        self._refer("tables.dataset", "dataset", given.dataset, self.datasets)
        for table in given.train if given.train != "all" else ():
            self._refer("tables.train", "table", table, self.known_tables)
        for benchmark in given.benchmarks or ():
            self._refer("tables.benchmarks", "benchmark", benchmark, self.benchmarks)
        return self

    def _refuse_circle(self, name: str, top_maps: TopMapSettings) -> None:
        """Raise ValueError if a dataset's boxes are to be made by a model that learns from them."""
        boxes = top_maps.pseudo_boxes
        if boxes is None:
            return
        self._refer("top_maps.prior", "entry of pseudo_boxes", boxes, self.pseudo_boxes)
        tracker = getattr(self.pseudo_boxes[boxes], "tracker", None)
        if tracker is not None and getattr(self.tracker(tracker), "model", None) is not None:
            raise ValueError(
                f"datasets.{name}: `prior: {top_maps.prior}` runs a model that would be trained on "
                "these very boxes; set the prior in a variant of variants.datasets, and the model "
                "is that of the dataset without the variant"
            )

    def _refuse_own_boxes(self, model: AnyModelSettings) -> None:
        """Raise ValueError if a model's data are boxes that it makes itself, by whatever steps."""
        seen: list[str] = []
        boxes = self._boxes_of(model)
        while boxes is not None:
            if boxes in seen:
                raise ValueError(
                    f"pseudo_boxes.{boxes}: its tracker runs a model whose `data` are these very "
                    "boxes; let it run a model that is trained on the dataset itself"
                )
            seen.append(boxes)
            self._refer("top_maps.prior", "entry of pseudo_boxes", boxes, self.pseudo_boxes)
            tracker = getattr(self.pseudo_boxes[boxes], "tracker", None)
            name = getattr(self.tracker(tracker), "model", None) if tracker else None
            boxes = self._boxes_of(self.model(name)) if name else None

    def _boxes_of(self, model: AnyModelSettings) -> str | None:
        """Return the entry of `pseudo_boxes` that the `data` of a model are made of, if any."""
        if model.data is None:
            return None
        source = derived_name(next(iter(self.datasets)), model.data)
        return self.for_dataset(source).top_maps.pseudo_boxes

    @staticmethod
    def _refer(key: str, what: str, name: str | None, known: Mapping[str, Any]) -> None:
        if name is not None and name not in known:
            raise ValueError(f"{key}: there is no {what} {name!r}{nearest(name, known)}")

    def dataset(self, name: str) -> DatasetSettings:
        """Return a declared or derived dataset. Raises InputError if there is none."""
        return derived_dataset(self, name)

    def model(self, name: str) -> AnyModelSettings:
        """Return a declared or derived model. Raises InputError if there is none."""
        return derived_model(self, name)

    def tracker(self, name: str) -> TrackerSettings:
        """Return a declared or derived tracker, `normalize` filled in.

        Raises InputError if there is none, if it cannot run its model, or if it correlates
        otherwise than its model learnt.
        """
        tracker = derived_tracker(self, name)
        found = getattr(tracker, "model", None)
        model = self.model(found) if found else None
        if model is not None and (model.kind == "transt") != (tracker.kind == "transt"):
            raise InputError(
                f"tracker {name!r}: is of kind {tracker.kind}, but its model of kind {model.kind}; "
                "trackers of kind transt run models of that kind, and no others do"
            )
        if tracker.kind != "siamfc":
            return tracker
        plain = isinstance(model, BceModelSettings) and model.similarity == "correlation"
        learnt: Literal["none", "cell"] = "none" if plain else "cell"
        if isinstance(model, BceModelSettings) and tracker.normalize not in (None, learnt):
            raise InputError(
                f"tracker {name!r}: normalize is {tracker.normalize}, but its model is trained "
                f"with similarity: {model.similarity}; leave normalize out"
            )
        return tracker.model_copy(update={"normalize": tracker.normalize or learnt})

    def benchmark(self, name: str) -> BenchmarkSettings:
        """Return a declared benchmark. Raises InputError if there is none."""
        return declared("benchmark", name, self.benchmarks)

    def boxes(self, name: str) -> PseudoBoxSettings:
        """Return a declared entry of `pseudo_boxes`. Raises InputError if there is none."""
        return declared("entry of pseudo_boxes", name, self.pseudo_boxes)

    def table(self, name: str) -> TableSettings:
        """Return a table of the paper or of the config, or that of an outline.

        Raises InputError if there is none.
        """
        return declared("table", table_of(name), self.known_tables)

    @property
    def known_tables(self) -> dict[str, TableSettings]:
        """The tables of the paper and of the config, by name."""
        return packaged_tables().tables | self.tables.own

    def for_dataset(self, name: str) -> "Config":
        """Return the config as it is for one dataset. Raises InputError for bad overrides."""
        sections: dict[str, Section] = {}
        for section, values in self.dataset(name).overrides.items():
            general: Section = getattr(self, section)
            raw = overlay(general.model_dump(mode="json"), values)
            source = f"datasets.{name}.overrides.{section}"
            sections[section] = validated(type(general), raw, source)
        return self.model_copy(update=sections) if sections else self


def _learnt_filter(tracker: TrackerSettings) -> bool:
    return tracker.kind == "eco" and tracker.model is not None


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
