rule train:
    """Train a model on the packed patches."""
    input:
        lambda wildcards: PLAN.summaries("train", wildcards),
    output:
        artifact=directory("results/{dataset}/models/{model}"),
        summary="results/{dataset}/models/{model}.summary.json",
    log:
        "results/{dataset}/logs/train.{model}.log",
    benchmark:
        "results/{dataset}/benchmarks/train.{model}.tsv"
    conda:
        "../../environment.yml"
    threads: 16
    resources:
        mem_mb=16000,
        runtime=2880,
    params:
        fp=lambda wildcards: PLAN.fingerprint("train", wildcards),
    shell:
        "socl train --config work/config/{wildcards.dataset}.json"
        " --dataset {wildcards.dataset} --model {wildcards.model} --workers {threads}"
        " --fingerprint {params.fp} --log {log}"
