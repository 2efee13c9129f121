rule figure:
    """Draw the figures of a benchmark."""
    input:
        lambda wildcards: PLAN.benchmark_files(wildcards.dataset, wildcards.benchmark),
        scores="results/{dataset}/scores/{benchmark}.summary.json",
    output:
        artifact=directory("results/{dataset}/figures/{benchmark}"),
        summary="results/{dataset}/figures/{benchmark}.summary.json",
    log:
        "results/{dataset}/logs/figure.{benchmark}.log",
    benchmark:
        "results/{dataset}/benchmarks/figure.{benchmark}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        fp=lambda wildcards: PLAN.fingerprint("figure", wildcards),
    shell:
        "socl figure --config work/config/{wildcards.dataset}.json"
        " --dataset {wildcards.dataset} --benchmark {wildcards.benchmark} --workers {threads}"
        " --fingerprint {params.fp} --log {log}"


rule figures:
    input:
        PLAN.figures,
