// Duplicates over the whole input: pairs know no threshold but the cosine's, the filters act in resolve alone.

process DEDUP_PAIRS {
    label 'process_high'

    input:
    path samples, stageAs: 'samples/*'
    path scores, stageAs: 'scores/*'
    path embeddings, stageAs: 'img_emb/*'
    env 'PYCURATE_CODE'

    output:
    path 'pairs/*.parquet', emit: pairs

    script:
    """
    dedup.py pairs ${task.ext.args ?: ''}
    """
}

process DEDUP_RESOLVE {
    label 'process_medium'

    input:
    path samples, stageAs: 'samples/*'
    path scores, stageAs: 'scores/*'
    path pairs, stageAs: 'pairs/*'
    env 'PYCURATE_CODE'

    output:
    path 'decisions.parquet', emit: decisions
    path 'duplicates.parquet', emit: duplicates, optional: true
    path 'plan/*.{parquet,tsv}', emit: plans

    script:
    """
    dedup.py resolve ${task.ext.args ?: ''}
    """
}

workflow DEDUP {
    take:
    dedup      // whether duplicates are sought
    samples    // every samples table, a value
    scores     // every scores table, a value
    embeddings // every img_emb file, a value
    code

    main:
    pairs = channel.value([])
    if (dedup) {
        DEDUP_PAIRS(samples, scores, embeddings, code)
        pairs = DEDUP_PAIRS.out.pairs
    }
    DEDUP_RESOLVE(samples, scores, pairs, code)

    emit:
    decisions = DEDUP_RESOLVE.out.decisions
    duplicates = DEDUP_RESOLVE.out.duplicates.ifEmpty([])
    plans = DEDUP_RESOLVE.out.plans
        .flatten()
        .map { file -> [Shards.number(file), file] }
        .groupTuple(size: 2, sort: { a, b -> a.name <=> b.name })
        .map { number, files -> [number, files[0], files[1]] } // [number, parquet, tsv]
}
