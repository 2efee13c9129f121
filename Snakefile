"""From clicks to a tracker: every stage is one rule, every rule calls `socl STAGE`."""

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.plan import Plan

min_version("9.0")

try:
    PLAN = Plan(config, complete=bool(workflow.overwrite_configfiles))
except InputError as error:
    raise WorkflowError(str(error)) from None


wildcard_constraints:
    dataset=r"[a-z0-9_]+",
    model=r"[a-z0-9_]+",
    tracker=r"[a-z0-9_]+",
    benchmark=r"[a-z0-9_]+",
    boxes=r"[a-z0-9_]+",
    table=r"[a-z0-9_]+",


include: "workflow/rules/demo_data.smk"
include: "workflow/rules/points.smk"
include: "workflow/rules/proposals.smk"
include: "workflow/rules/top_maps.smk"
include: "workflow/rules/patches.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/track.smk"
include: "workflow/rules/scores.smk"
include: "workflow/rules/figure.smk"
include: "workflow/rules/pseudo_boxes.smk"
include: "workflow/rules/box_quality.smk"
include: "workflow/rules/table.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        PLAN.everything,


onstart:
    PLAN.write_configs()


onsuccess:
    for name in PLAN.default.datasets:
        report_file = Path("results", name, "report.html")
        if report_file.exists():
            print(f"\nThe report is at {report_file.absolute()}\n", file=sys.stderr)
