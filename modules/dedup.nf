// Find duplicates in the whole input, before filtering; the filters are applied in DECIDE.
// A set of moderate size is searched in one task, a large one in many; both give the same decisions.

// The whole search in one task.
process DEDUP_PAIRS {
    label 'process_high'
    ext(options: { Options.of('DEDUP') })

    input:
    val images // how many
    path(samples, stageAs: 'samples/*', arity: '1..*')
    path(scores, stageAs: 'scores/*', arity: '1..*')
    path(embeddings, stageAs: 'img_emb/*', arity: '1..*')
    path(descriptors, stageAs: 'dedup_emb/*', arity: '0..*')
    tuple val(named), path(references, stageAs: 'references/?', arity: '0..*')
    env 'PYCURATE_CODE'

    output:
    tuple(path('cells/*.npz'), path('assigned/*.npy'), path('pairs/*.parquet'), emit: search)
    path('times/*.json', emit: times)

    script:
    """
    dedup.py pairs ${References.options(named, references)} ${task.ext.options} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir cells assigned pairs times
    touch cells/cells_00000.npz assigned/assigned_00000.npy pairs/pairs_00000.parquet times/DEDUP_PAIRS.json
    """
}

// Compute cells from a sample of the embeddings.
process DEDUP_TRAIN {
    label 'process_gpu'
    ext(options: { Options.of('DEDUP') })

    input:
    val images
    path(samples, stageAs: 'samples/*', arity: '1..*')
    path(embeddings, stageAs: 'img_emb/*', arity: '1..*')
    path(descriptors, stageAs: 'dedup_emb/*', arity: '0..*')
    tuple val(named), path(references, stageAs: 'references/?', arity: '0..*')
    env 'PYCURATE_CODE'

    output:
    path('cells/*.npz', emit: cells)
    stdout(emit: buckets)
    path('times/*.json', emit: times)

    script:
    """
    dedup.py train ${References.options(named, references)} ${task.ext.options} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir cells times
    touch cells/cells_00000.npz times/DEDUP_TRAIN.json
    echo 1
    """
}

// Assign each vector of a partition to the cells that it visits: one file, sorted by cell. Partitions of a reference set are
// read from its folder, not from input files.
process DEDUP_ASSIGN {
    tag "${number}"
    label 'process_medium'

    input:
    tuple val(number), path(samples, stageAs: 'samples/*', arity: '0..*'), path(scores, stageAs: 'scores/*', arity: '0..*'), path(embeddings, stageAs: 'img_emb/*', arity: '0..*'), path(descriptors, stageAs: 'dedup_emb/*', arity: '0..*')
    path(cells, stageAs: 'cells/*', arity: '1..*')
    tuple val(named), path(references, stageAs: 'references/?', arity: '0..*')
    env 'PYCURATE_CODE'

    output:
    path('assigned/*.npy', emit: assigned)
    path('times/*.json', emit: times)

    script:
    """
    dedup.py assign --partition ${number} ${References.options(named, references)} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir assigned times
    touch assigned/assigned_${number}.npy times/DEDUP_ASSIGN_${number}.json
    """
}

// Find the pairs within a bucket of cells; of each file only the bucket's slice is read.
process DEDUP_MATCH {
    tag "${bucket}"
    label 'process_gpu'

    input:
    val bucket
    path(cells, stageAs: 'cells/*', arity: '1..*')
    path(assigned, stageAs: 'assigned/*', arity: '1..*')
    path(embeddings, stageAs: 'img_emb/*', arity: '1..*')
    path(descriptors, stageAs: 'dedup_emb/*', arity: '0..*')
    tuple val(named), path(references, stageAs: 'references/?', arity: '0..*')
    env 'PYCURATE_CODE'

    output:
    path('pairs/*.parquet', emit: pairs)
    path('times/*.json', emit: times)

    script:
    """
    dedup.py match --bucket ${bucket} ${References.options(named, references)} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir pairs times
    touch pairs/pairs_${bucket}.parquet times/DEDUP_MATCH_${bucket}.json
    """
}

// Compare a partition with evaluation sets, image by image.
process DEDUP_LEAKAGE {
    tag "${number}"
    label 'process_gpu'
    ext(options: { Options.of('DEDUP') })

    input:
    tuple val(number), path(samples, stageAs: 'samples/*'), path(scores, stageAs: 'scores/*'), path(embeddings, stageAs: 'img_emb/*'), path(descriptors, stageAs: 'dedup_emb/*', arity: '0..*')
    tuple val(named), path(sets, stageAs: 'sets/?', arity: '1..*')
    env 'PYCURATE_CODE'

    output:
    path('leaks/*.parquet', emit: leaks)
    path('times/*.json', emit: times)

    script:
    """
    dedup.py leakage --partition ${number} ${References.options(named, sets)} ${task.ext.options} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir leaks times
    touch leaks/leaks_${number}.parquet times/DEDUP_LEAKAGE_${number}.json
    """
}

workflow DEDUP {
    take:
    single     // up to how many images are searched in one task
    images     // how many there are, a value
    references // [what they are, folders] of sets that outrank this one, a value
    tables     // [number, samples, scores, img_emb, dedup_emb or []] of each partition
    code

    main:
    samples = Tables.column(tables, 1)
    scores = Tables.column(tables, 2)
    embeddings = Tables.column(tables, 3)
    descriptors = Tables.column(tables, 4)
    DEDUP_PAIRS(images.filter { count -> count <= single }, samples, scores, embeddings, descriptors, references, code)

    DEDUP_TRAIN(images.filter { count -> count > single }, samples, embeddings, descriptors, references, code)
    cells = DEDUP_TRAIN.out.cells
    // A reference's partition is named 1:00000 and read from its own folder.
    DEDUP_ASSIGN(
        tables.mix(references.flatMap { _named, folders -> References.partitions(folders) }),
        cells,
        references,
        code,
    )
    assigned = DEDUP_ASSIGN.out.assigned.collect(sort: { file -> file.name })
    buckets = DEDUP_TRAIN.out.buckets.flatMap { text -> (0..<text.trim().toInteger()).toList() }
    DEDUP_MATCH(buckets, cells, assigned, embeddings, descriptors, references, code)
    fanned = DEDUP_MATCH.out.pairs
        .collect(sort: { file -> file.name })
        .combine(cells).combine(assigned.map { files -> [files] })
        .map { all -> [all[-2], all[-1], all[0..-3]] }

    emit:
    search = DEDUP_PAIRS.out.search.mix(fanned).first()         // [cells, assigned, pairs], a value
    times = DEDUP_PAIRS.out.times.mix(DEDUP_TRAIN.out.times, DEDUP_ASSIGN.out.times, DEDUP_MATCH.out.times)
}
