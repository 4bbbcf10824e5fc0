// Duplicates over the whole input: pairs know no threshold but the cosine's, the filters act in resolve alone.
// A set of moderate size is searched in one task, a large one is fanned out; both give the same decisions.

// The whole search in one task.
process DEDUP_PAIRS {
    label 'process_high'

    input:
    val images // how many
    path samples, stageAs: 'samples/*'
    path scores, stageAs: 'scores/*'
    path embeddings, stageAs: 'img_emb/*'
    path references, stageAs: 'references/?'
    env 'PYCURATE_CODE'

    output:
    tuple path('cells/*.npz'), path('assigned/*.npy'), path('pairs/*.parquet'), emit: search
    path 'times/*.json', emit: times

    script:
    """
    dedup.py pairs ${References.options(references)} ${task.ext.args ?: ''}
    """
}

// Choose cells from a sample of the embeddings.
process DEDUP_TRAIN {
    label 'process_gpu'

    input:
    val images
    path samples, stageAs: 'samples/*'
    path embeddings, stageAs: 'img_emb/*'
    env 'PYCURATE_CODE'

    output:
    path 'cells/*.npz', emit: cells
    stdout emit: buckets
    path 'times/*.json', emit: times

    script:
    """
    dedup.py train ${task.ext.args ?: ''}
    """
}

// Send each vector of a partition to the cells that it visits: one file, sorted by cell.
process DEDUP_ASSIGN {
    tag "${number}"
    label 'process_medium'

    input:
    tuple val(number), path(samples, stageAs: 'samples/*'), path(scores, stageAs: 'scores/*'), path(embeddings, stageAs: 'img_emb/*')
    path cells, stageAs: 'cells/*'
    path references, stageAs: 'references/?'
    env 'PYCURATE_CODE'

    output:
    path 'assigned/*.npy', emit: assigned
    path 'times/*.json', emit: times

    script:
    """
    dedup.py assign --partition ${number} ${References.options(references)} ${task.ext.args ?: ''}
    """
}

// Find the pairs that meet in a bucket of cells; of each file only the bucket's slice is read.
process DEDUP_MATCH {
    tag "${bucket}"
    label 'process_gpu'

    input:
    val bucket
    path cells, stageAs: 'cells/*'
    path assigned, stageAs: 'assigned/*'
    path embeddings, stageAs: 'img_emb/*'
    path references, stageAs: 'references/?'
    env 'PYCURATE_CODE'

    output:
    path 'pairs/*.parquet', emit: pairs
    path 'times/*.json', emit: times

    script:
    """
    dedup.py match --bucket ${bucket} ${References.options(references)} ${task.ext.args ?: ''}
    """
}

// Filter, walk over the pairs by rank, decide about every sample, and plan the output.
process DEDUP_RESOLVE {
    label 'process_high'

    input:
    tuple path(cells, stageAs: 'cells/*'), path(assigned, stageAs: 'assigned/*'), path(pairs, stageAs: 'pairs/*')
    path samples, stageAs: 'samples/*'
    path scores, stageAs: 'scores/*'
    path embeddings, stageAs: 'img_emb/*'
    path references, stageAs: 'references/?'
    env 'PYCURATE_CODE'

    output:
    path 'decisions.parquet', emit: decisions
    path '{duplicates.parquet,dedup.json}', emit: search, optional: true
    path 'uids_{kept,dropped}.npy', emit: uids
    path 'plan/*.{parquet,tsv}', emit: plans, optional: true
    path 'times/*.json', emit: times

    script:
    """
    dedup.py resolve ${References.options(references)} ${task.ext.args ?: ''}
    """
}

workflow DEDUP {
    take:
    dedup      // whether duplicates are sought
    single     // up to how many images are searched in one task
    images     // how many there are, a value
    references // folders of sets that outrank this one, a value
    tables     // [number, samples, scores, img_emb] of each partition
    code

    main:
    samples = Tables.sorted(tables.map { _number, file, _scores, _embeddings -> file })
    scores = Tables.sorted(tables.map { _number, _samples, file, _embeddings -> file })
    embeddings = Tables.sorted(tables.map { _number, _samples, _scores, file -> file })
    search = channel.value([[], [], []])                        // [cells, assigned, pairs], a value
    times = channel.empty()
    if (dedup) {
        DEDUP_PAIRS(images.filter { count -> count <= single }, samples, scores, embeddings, references, code)

        DEDUP_TRAIN(images.filter { count -> count > single }, samples, embeddings, code)
        cells = DEDUP_TRAIN.out.cells
        // A reference's partition is named 1:00000 and read from its own folder.
        DEDUP_ASSIGN(
            tables.mix(references.flatMap { folders -> References.partitions(folders) }),
            cells,
            references,
            code,
        )
        assigned = DEDUP_ASSIGN.out.assigned.collect(sort: { file -> file.name })
        buckets = DEDUP_TRAIN.out.buckets.flatMap { text -> (0..<text.trim().toInteger()).toList() }
        DEDUP_MATCH(buckets, cells, assigned, embeddings, references, code)
        fanned = DEDUP_MATCH.out.pairs
            .collect(sort: { file -> file.name })
            .combine(cells).combine(assigned.map { files -> [files] })
            .map { all -> [all[-2], all[-1], all[0..-3]] }

        search = DEDUP_PAIRS.out.search.mix(fanned).first()
        times = DEDUP_PAIRS.out.times.mix(DEDUP_TRAIN.out.times, DEDUP_ASSIGN.out.times, DEDUP_MATCH.out.times)
    }
    DEDUP_RESOLVE(search, samples, scores, embeddings, references, code)

    emit:
    samples    // every samples table, a value
    embeddings // every img_emb file, a value
    decisions = DEDUP_RESOLVE.out.decisions
    search = DEDUP_RESOLVE.out.search.ifEmpty([])               // duplicates.parquet and dedup.json, a value
    times = times.mix(DEDUP_RESOLVE.out.times)                  // what each task cost
    plans = DEDUP_RESOLVE.out.plans
        .flatten()
        .map { file -> [Shards.number(file), file] }
        .groupTuple(size: 2, sort: { a, b -> a.name <=> b.name })
        .map { number, files -> [number, files[0], files[1]] }  // [number, parquet, tsv]
}
