rule report:
    """Write the self-contained HTML report."""
    input:
        lambda wildcards: PLAN.summaries("report", wildcards),
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
        tables=lambda wildcards: PLAN.made_tables(wildcards.dataset),
    shell:
        "socl report --config work/config/{wildcards.dataset}.json"
        " --dataset {wildcards.dataset} --workers {threads}"
        " --fingerprint {params.fp} --log {log}"
