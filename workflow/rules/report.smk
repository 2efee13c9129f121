rule report:
    """Write the self-contained HTML report."""
    input:
        stages=expand(
            "results/{{dataset}}/{stage}.summary.json",
            stage=["points", "proposals", "top_maps", "patches"],
        ),
        models=lambda wildcards: expand(
            "results/{dataset}/models/{model}.summary.json",
            model=PLAN.models(wildcards.dataset),
            dataset=wildcards.dataset,
        ),
        scores=lambda wildcards: expand(
            "results/{dataset}/scores/{benchmark}.summary.json",
            benchmark=PLAN.benchmarks(wildcards.dataset),
            dataset=wildcards.dataset,
        ),
    output:
        artifact="results/{dataset}/report.html",
        summary="results/{dataset}/report.summary.json",
    log:
        "results/{dataset}/logs/report.log",
    benchmark:
        "results/{dataset}/benchmarks/report.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        fp=lambda wildcards: PLAN.fingerprint("report", wildcards),
    shell:
        "socl report --config work/config/{wildcards.dataset}.json"
        " --dataset {wildcards.dataset} --workers {threads}"
        " --fingerprint {params.fp} --log {log}"
