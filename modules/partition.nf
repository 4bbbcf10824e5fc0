// Find the shards of the input and split them into groups of about equal size.
process PARTITION {
    label 'process_single'
    ext mounts: { Mounts.ofInput(input.toString()) }, options: { Options.of('PARTITION') } // in a container
    cache false // what the folder holds may have changed; the stages behind know a partition by its content

    input:
    val input
    env 'PYCURATE_CODE'

    output:
    path 'partitions/*.tsv', arity: '1..*', emit: partitions
    stdout emit: remarks // on what was named and is no input

    script:
    """
    partition.py --input ${Shell.quote(input)} ${Shards.own()} ${task.ext.options} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir partitions
    touch partitions/partitions_00000.tsv
    """
}
