rule box_quality:
    """Compare pseudo boxes with the true boxes."""
    input:
        lambda wildcards: PLAN.dataset_files(wildcards.dataset),
        boxes=lambda wildcards: PLAN.summaries("box_quality", wildcards),
    output:
        artifact=directory("results/{dataset}/box_quality"),
        summary="results/{dataset}/box_quality.summary.json",
    log:
        "results/{dataset}/logs/box_quality.log",
    benchmark:
        "results/{dataset}/benchmarks/box_quality.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        fp=lambda wildcards: PLAN.fingerprint("box_quality", wildcards),
    shell:
        "socl box_quality --config work/config/{wildcards.dataset}.json"
        " --dataset {wildcards.dataset} --workers {threads}"
        " --fingerprint {params.fp} --log {log}"
