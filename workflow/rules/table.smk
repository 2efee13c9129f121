rule table:
    """Write a table or figure that compares trainings."""
    input:
        lambda wildcards: PLAN.table_files(wildcards.dataset),
        tracks=lambda wildcards: PLAN.summaries("table", wildcards),
    output:
        artifact=directory("results/{dataset}/tables/{table}"),
        summary="results/{dataset}/tables/{table}.summary.json",
    log:
        "results/{dataset}/logs/table.{table}.log",
    benchmark:
        "results/{dataset}/benchmarks/table.{table}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        fp=lambda wildcards: PLAN.fingerprint("table", wildcards),
    shell:
        "socl table --config work/config/{wildcards.dataset}.json"
        " --dataset {wildcards.dataset} --table {wildcards.table} --workers {threads}"
        " --fingerprint {params.fp} --log {log}"


# each table is a target by its name: snakemake table_1
for table_name, table_summary in PLAN.tables.items():

    rule:
        name:
            table_name
        input:
            table_summary,


rule tables:
    input:
        lambda wildcards: PLAN.all_tables,
