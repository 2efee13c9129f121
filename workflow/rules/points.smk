rule points:
    """Turn annotations into clicks and sparse boxes."""
    input:
        lambda wildcards: PLAN.dataset_files(wildcards.dataset),
    output:
        artifact="results/{dataset}/points.parquet",
        summary="results/{dataset}/points.summary.json",
    log:
        "results/{dataset}/logs/points.log",
    benchmark:
        "results/{dataset}/benchmarks/points.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        fp=lambda wildcards: PLAN.fingerprint("points", wildcards),
    shell:
        "socl points --config work/config/{wildcards.dataset}.json"
        " --dataset {wildcards.dataset} --workers {threads}"
        " --fingerprint {params.fp} --log {log}"
