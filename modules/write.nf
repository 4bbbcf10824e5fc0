// Copy the kept samples of one plan from the input shards to output tars.
process WRITE {
    tag "${number}"
    label 'process_low'
    ext(mounts: { mounts }, options: { Options.of('WRITE') }) // of the shards, in a container

    input:
    tuple val(number), path(plan, stageAs: 'plan/*'), stdin, val(mounts) // stdin: a partition file of the shards that the plan names
    env 'PYCURATE_CODE'

    output:
    path('curated/*.tar', emit: tars, optional: true)
    path('curated/*.parquet', emit: tables, optional: true)
    path('curated/*.idx', emit: indices, optional: true)
    path('curated/*_stats.json', emit: stats, optional: true)
    path('times/*.json', emit: times)

    script:
    """
    ${Shards.receive('00000')}
    write.py --plan ${number} ${task.ext.options} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir curated times
    touch curated/${number}{.tar,.parquet,_stats.json} times/WRITE_${number}.json
    """
}
