rule proposals:
    """Find EdgeBoxes near each click; draw the table of random windows."""
    input:
        "results/{dataset}/points.summary.json",
    output:
        artifact=directory("results/{dataset}/proposals"),
        summary="results/{dataset}/proposals.summary.json",
    log:
        "results/{dataset}/logs/proposals.log",
    benchmark:
        "results/{dataset}/benchmarks/proposals.tsv"
    conda:
        "../../environment.yml"
    threads: 16
    resources:
        mem_mb=lambda wildcards, threads: 1000 + 1000 * threads,
        dask="processes",
        workers=lambda wildcards, threads: threads,
        runtime=1440,
    params:
        fp=lambda wildcards: PLAN.fingerprint("proposals", wildcards),
    shell:
        "socl proposals --config work/config/{wildcards.dataset}.json"
        " --dataset {wildcards.dataset} --workers {resources.workers}"
        " --dask {resources.dask} --memory-mb {resources.mem_mb}"
        " --fingerprint {params.fp} --log {log}"
