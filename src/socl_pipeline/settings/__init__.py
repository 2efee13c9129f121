"""The config: one typed section per stage, named datasets, models, trackers and benchmarks.

The same models validate the YAML, document every key (`socl schema`) and feed the fingerprints.
Values marked "our choice" are not in the paper; the reason stands beside them.
"""

from socl_pipeline.settings.config import Config, ReportSettings, load_config, validate_config
from socl_pipeline.settings.costs import CostSettings
from socl_pipeline.settings.datasets import (
    BenchmarkSettings,
    DatasetSettings,
    OnBadFrame,
    PointSettings,
    expand,
)
from socl_pipeline.settings.eco import EcoSettings
from socl_pipeline.settings.errors import validated
from socl_pipeline.settings.models import AnyModelSettings
from socl_pipeline.settings.pseudo_boxes import (
    BoxQualitySettings,
    InterpolatedBoxSettings,
    PseudoBoxSettings,
    TrackedBoxSettings,
)
from socl_pipeline.settings.section import Section
from socl_pipeline.settings.tables import (
    ColumnSettings,
    PaperFigures,
    RowSettings,
    TableSettings,
    TablesSettings,
    VariantSettings,
)
from socl_pipeline.settings.top import (
    EdgeBoxSettings,
    ProposalSettings,
    RandomWindowSettings,
    TopMapSettings,
    ViewSettings,
)
from socl_pipeline.settings.trackers import (
    AnyTrackerSettings,
    EcoTrackerSettings,
    OpenCVTrackerSettings,
    PythonTrackerSettings,
    ResultsTrackerSettings,
    SiamFCTrackerSettings,
    TrackerSettings,
    TransTTrackerSettings,
)
from socl_pipeline.settings.training import (
    AugmentSettings,
    BackboneName,
    BceModelSettings,
    ModelSettings,
    PatchSettings,
    SoclModelSettings,
)
from socl_pipeline.settings.transt_model import TransTModelSettings

__all__ = [
    "AnyModelSettings",
    "AnyTrackerSettings",
    "AugmentSettings",
    "BackboneName",
    "BceModelSettings",
    "BenchmarkSettings",
    "BoxQualitySettings",
    "ColumnSettings",
    "Config",
    "CostSettings",
    "DatasetSettings",
    "EcoSettings",
    "EcoTrackerSettings",
    "EdgeBoxSettings",
    "InterpolatedBoxSettings",
    "ModelSettings",
    "OnBadFrame",
    "OpenCVTrackerSettings",
    "PaperFigures",
    "PatchSettings",
    "PointSettings",
    "ProposalSettings",
    "PseudoBoxSettings",
    "PythonTrackerSettings",
    "RandomWindowSettings",
    "ReportSettings",
    "ResultsTrackerSettings",
    "RowSettings",
    "Section",
    "SiamFCTrackerSettings",
    "SoclModelSettings",
    "TableSettings",
    "TablesSettings",
    "TopMapSettings",
    "TrackedBoxSettings",
    "TrackerSettings",
    "TransTModelSettings",
    "TransTTrackerSettings",
    "VariantSettings",
    "ViewSettings",
    "expand",
    "load_config",
    "validate_config",
    "validated",
]
