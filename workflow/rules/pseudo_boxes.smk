rule pseudo_boxes:
    """Make the boxes between the sparse ones, snippets of all videos in parallel."""
    input:
        lambda wildcards: PLAN.dataset_files(wildcards.dataset),
        inputs=lambda wildcards: PLAN.summaries("pseudo_boxes", wildcards),
    output:
        artifact="results/{dataset}/pseudo_boxes/{boxes}.parquet",
        summary="results/{dataset}/pseudo_boxes/{boxes}.summary.json",
    log:
        "results/{dataset}/logs/pseudo_boxes.{boxes}.log",
    benchmark:
        "results/{dataset}/benchmarks/pseudo_boxes.{boxes}.tsv"
    conda:
        "../../environment.yml"
    threads: 16
    resources:
        mem_mb=lambda wildcards, threads: 1000 + 1500 * threads,
        dask="processes",
        workers=lambda wildcards, threads: threads,
        runtime=2880,
    params:
        fp=lambda wildcards: PLAN.fingerprint("pseudo_boxes", wildcards),
    shell:
        "socl pseudo_boxes --config work/config/{wildcards.dataset}.json"
        " --dataset {wildcards.dataset} --boxes {wildcards.boxes} --workers {resources.workers}"
        " --dask {resources.dask} --memory-mb {resources.mem_mb}"
        " --fingerprint {params.fp} --log {log}"
