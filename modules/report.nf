// The images that the report shows are chosen first, so that only their shards are read.
process REPORT_CHOOSE {
    label 'process_low'

    input:
    path decisions
    path samples, stageAs: 'samples/*'
    path scores, stageAs: 'scores/*'
    path duplicates
    env 'PYCURATE_CODE'

    output:
    tuple path('examples.parquet'), path('examples.tsv'), emit: examples

    script:
    """
    report.py choose ${task.ext.args ?: ''}
    """
}

// Check that every sample is accounted for, sum up, and show the run on one page.
process REPORT {
    label 'process_low'

    input:
    tuple path(examples), val(shards), path(tars, stageAs: 'shards/?.tar')
    path decisions
    path samples, stageAs: 'samples/*'
    path scores, stageAs: 'scores/*'
    path duplicates
    path stats, stageAs: 'curated/*'
    val parameters // JSON
    env 'PYCURATE_CODE'

    output:
    path 'summary.json', emit: summary
    path 'report.html', emit: page

    script:
    """
    ${Shards.stage('00000', shards, tars)}
    echo ${Shell.quote(parameters)} > parameters.json
    report.py render --parameters parameters.json ${task.ext.args ?: ''}
    """
}
