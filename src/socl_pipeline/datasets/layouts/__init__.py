"""The layouts of datasets on disk; the only place where 1-based becomes 0-based."""

from socl_pipeline.datasets.layouts.clips import ClipsLayout
from socl_pipeline.datasets.layouts.got10k import Got10kLayout
from socl_pipeline.datasets.layouts.lasot import LasotLayout
from socl_pipeline.datasets.layouts.layout import Layout
from socl_pipeline.datasets.layouts.otb import OtbLayout
from socl_pipeline.datasets.layouts.trackingnet import TrackingNetLayout
from socl_pipeline.datasets.layouts.uav123 import Uav123Layout
from socl_pipeline.datasets.layouts.vot import VotLayout

LAYOUTS: dict[str, type[Layout]] = {
    "got10k": Got10kLayout,
    "otb": OtbLayout,
    "clips": ClipsLayout,
    "lasot": LasotLayout,
    "uav123": Uav123Layout,
    "trackingnet": TrackingNetLayout,
    "vot": VotLayout,
}
