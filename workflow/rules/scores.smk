rule scores:
    """Score all trackers on a benchmark."""
    input:
        lambda wildcards: PLAN.benchmark_files(wildcards.dataset, wildcards.benchmark),
        tracks=lambda wildcards: PLAN.summaries("scores", wildcards),
    output:
        artifact="results/{dataset}/scores/{benchmark}.parquet",
        summary="results/{dataset}/scores/{benchmark}.summary.json",
    log:
        "results/{dataset}/logs/scores.{benchmark}.log",
    benchmark:
        "results/{dataset}/benchmarks/scores.{benchmark}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        fp=lambda wildcards: PLAN.fingerprint("scores", wildcards),
    shell:
        "socl scores --config work/config/{wildcards.dataset}.json"
        " --dataset {wildcards.dataset} --benchmark {wildcards.benchmark} --workers {threads}"
        " --fingerprint {params.fp} --log {log}"
