// Find the shards of the input and split them into groups of about equal size. The first task also checks the user's classes
// and scores; what is wrong with them is printed as one sentence instead of as a failed task.
process PARTITION {
    label 'process_single'
    ext(mounts: { "${Mounts.ofInput(input.toString())} ${Mounts.ofOwn()}" }, options: { Options.of('PARTITION') }) // in a container
    scratch false // every file may be missing, so one that was lost on the way would not be missed
    cache false // what the folder holds may have changed; the stages behind know a partition by its content

    input:
    val input
    env 'PYCURATE_CODE'

    output:
    tuple(val(input), path('partitions/*.tsv'), optional: true, emit: partitions)
    tuple(val(input), path('refusal.txt'), optional: true, emit: refusal)
    stdout(emit: remarks) // on what was named and is no input

    script:
    """
    partition.py --input ${Shell.quote(input)} ${Shards.own()} ${Blocklists.own()} ${task.ext.options} ${task.ext.args ?: ''} 2> refusal.txt || status=\$?
    cat refusal.txt >&2
    case \${status:-0} in
        0) rm refusal.txt ;;
        1 | 2) ;;
        *) exit \$status ;;
    esac
    """

    stub:
    """
    mkdir partitions
    touch partitions/partitions_00000.tsv
    """
}
