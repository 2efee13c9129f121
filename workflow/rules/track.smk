rule track:
    """Run a tracker over a benchmark, sequences in parallel."""
    input:
        lambda wildcards: PLAN.benchmark_files(wildcards.dataset, wildcards.benchmark),
        model=lambda wildcards: (
            f"results/{wildcards.dataset}/models/{model}.summary.json"
            if (model := PLAN.model_of(wildcards.dataset, wildcards.tracker))
            else []
        ),
    output:
        artifact="results/{dataset}/tracks/{benchmark}/{tracker}.parquet",
        summary="results/{dataset}/tracks/{benchmark}/{tracker}.summary.json",
    log:
        "results/{dataset}/logs/track.{benchmark}.{tracker}.log",
    benchmark:
        "results/{dataset}/benchmarks/track.{benchmark}.{tracker}.tsv"
    conda:
        "../../environment.yml"
    threads: 16
    resources:
        mem_mb=lambda wildcards, threads: 1500 * threads,
        runtime=1440,
    params:
        fp=lambda wildcards: PLAN.fingerprint("track", wildcards),
    shell:
        "socl track --config work/config/{wildcards.dataset}.json"
        " --dataset {wildcards.dataset} --benchmark {wildcards.benchmark} --tracker {wildcards.tracker} --workers {threads}"
        " --fingerprint {params.fp} --log {log}"
