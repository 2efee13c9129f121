rule demo_data:
    """Draw the demo videos; finished ones are kept, so this is cut short when they are there."""
    input:
        manifest=lambda wildcards: PLAN.generated[wildcards.root],
    output:
        "{root}/train/list.txt",
        "{root}/val/list.txt",
    log:
        "{root}.log",
    wildcard_constraints:
        root="|".join(map(re.escape, PLAN.generated)) or "(?!)",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
        runtime=30,
    shell:
        "socl demo-data --manifest {input.manifest} --root {wildcards.root} --log {log}"
