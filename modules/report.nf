// Select the images for the report first, so that only their shards are read.
process REPORT_EXAMPLES {
    label 'process_low'

    input:
    tuple path(decisions), path(criteria) // decisions.parquet and decisions.json: what was decided, and by what
    path(samples, stageAs: 'samples/*', arity: '1..*')
    path(embeddings, stageAs: 'img_emb/*', arity: '1..*')
    path(descriptors, stageAs: 'dedup_emb/*', arity: '0..*')
    env 'PYCURATE_CODE'

    output:
    tuple(path('examples.parquet'), path('examples.tsv'), emit: examples)

    script:
    """
    report.py examples ${task.ext.args ?: ''}
    """

    stub:
    """
    touch examples.parquet examples.tsv
    """
}

// Check that every sample is accounted for, summarise the run, and render the report.
process REPORT {
    label 'process_low'
    ext(mounts: { mounts }) // of the shards, in a container

    input:
    tuple path(examples), stdin, val(mounts) // stdin: a partition file of the examples' shards
    tuple path(decisions), path(criteria) // decisions.parquet and decisions.json: what was decided, and by what
    path(samples, stageAs: 'samples/*', arity: '1..*')
    path(embedded, stageAs: 'stats/*', arity: '1..*') // EMBED's stats
    path(search, arity: '0..*') // duplicates.parquet and dedup.json if duplicates were sought, leakage.parquet if sets were compared
    path(stats, stageAs: 'curated/*', arity: '0..*')
    path(times, stageAs: 'times/*', arity: '1..*')
    path models
    val partitions // how many there are
    val parameters // JSON
    env 'PYCURATE_CODE'

    output:
    path('summary.json', emit: summary)
    path('report.html', emit: page)
    path('pipeline_info/versions.json', emit: versions)
    path('kinds.json', emit: kinds) // of files that a run leaves, as regular expressions

    script:
    """
    ${Shards.receive('00000')}
    printf '%s\\n' ${Shell.quote(parameters)} > parameters.json
    report.py render --partitions ${partitions} --parameters parameters.json --model-dir ${models} --kinds kinds.json ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir pipeline_info
    touch summary.json report.html kinds.json pipeline_info/versions.json
    """
}
