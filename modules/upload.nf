// Remove from the store that --outdir names what says that an earlier run is whole there.
process UPLOAD_BEGIN {
    label 'process_single'
    cache false // another run may have been there since

    input:
    val address
    env 'PYCURATE_CODE'

    output:
    val(true, emit: begun)

    script:
    """
    upload.py begin --to ${Shell.quote(address)} ${task.ext.args ?: ''}
    """

    stub:
    """
    """
}

// Bring what a task left into the store, on a machine of the cluster.
process UPLOAD_TASK {
    tag "${record.baseName}"
    label 'process_single'

    input:
    tuple val(address), path(folder, stageAs: 'task'), val(record) // the folder of a task, and what it left as times/X.json
    env 'PYCURATE_CODE'

    output:
    val(true, emit: uploaded)

    script:
    """
    upload.py task --to ${Shell.quote(address)} --record task/times/${record.name} ${task.ext.args ?: ''}
    """

    stub:
    """
    """
}

// Hold the store against the manifest: upload what is missing, remove what an earlier run left, and add the summary.
process UPLOAD_END {
    label 'process_low'
    cache false // what is in the store may have changed

    input:
    tuple val(address), path(results, stageAs: 'results')
    env 'PYCURATE_CODE'

    output:
    val(true, emit: ended)

    script:
    """
    upload.py end --results results --to ${Shell.quote(address)} ${task.ext.args ?: ''}
    """

    stub:
    """
    """
}

workflow UPLOAD {
    take:
    address   // of --outdir
    accepted  // once an earlier run's results may be touched, a value
    records   // times/X.json of each task that leaves results
    published // the folder of results on this machine, once all is there
    code

    main:
    UPLOAD_BEGIN(accepted.map { _all -> address }, code)
    UPLOAD_TASK(
        records.combine(UPLOAD_BEGIN.out.begun).map { record, _begun -> [address, record.parent.parent, record] },
        code,
    )
    UPLOAD_END(
        published.combine(UPLOAD_TASK.out.uploaded.count()).map { folder, _count -> [address, folder] },
        code,
    )
}
