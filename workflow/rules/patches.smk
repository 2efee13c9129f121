rule patches:
    """Cut and pack the training patches."""
    input:
        "results/{dataset}/points.summary.json",
        "results/{dataset}/top_maps.summary.json",
    output:
        artifact=directory("results/{dataset}/patches"),
        summary="results/{dataset}/patches.summary.json",
    log:
        "results/{dataset}/logs/patches.log",
    benchmark:
        "results/{dataset}/benchmarks/patches.tsv"
    conda:
        "../../environment.yml"
    threads: 16
    resources:
        mem_mb=lambda wildcards, threads: 1000 + 1000 * threads,
        dask="processes",
        workers=lambda wildcards, threads: threads,
        runtime=1440,
    params:
        fp=lambda wildcards: PLAN.fingerprint("patches", wildcards),
    shell:
        "socl patches --config work/config/{wildcards.dataset}.json"
        " --dataset {wildcards.dataset} --workers {resources.workers}"
        " --dask {resources.dask} --memory-mb {resources.mem_mb}"
        " --fingerprint {params.fp} --log {log}"
