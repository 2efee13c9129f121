rule top_maps:
    """Score the proposals with Dask; keep the boxes that make each TOP map."""
    input:
        lambda wildcards: PLAN.summaries("top_maps", wildcards),
    output:
        artifact=directory("results/{dataset}/top_maps.zarr"),
        summary="results/{dataset}/top_maps.summary.json",
    log:
        "results/{dataset}/logs/top_maps.log",
    benchmark:
        "results/{dataset}/benchmarks/top_maps.tsv"
    conda:
        "../../environment.yml"
    threads: 16
    resources:
        mem_mb=lambda wildcards, threads: 1000 + 1000 * threads,
        dask="processes",
        workers=lambda wildcards, threads: threads,
        runtime=2880,
    params:
        fp=lambda wildcards: PLAN.fingerprint("top_maps", wildcards),
    shell:
        "socl top_maps --config work/config/{wildcards.dataset}.json"
        " --dataset {wildcards.dataset} --workers {resources.workers}"
        " --dask {resources.dask} --memory-mb {resources.mem_mb}"
        " --fingerprint {params.fp} --log {log}"
