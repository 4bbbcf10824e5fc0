// Scores of a sample that others enter into: captions against each other, target sets, concepts.

// Gather what all samples are compared with: captions drawn from the input, embeddings of sets, of prompts.
process COMPARE_TARGETS {
    label 'process_medium'
    ext(mounts: { Mounts.ofOwn() }, options: { Options.of('COMPARE') })

    input:
    val captions // whether captions are compared; if not, samples of one partition tell the encoder
    path(samples, stageAs: 'samples/*', arity: '1..*')
    path(embeddings, stageAs: 'img_emb/*', arity: '0..*')
    path(texts, stageAs: 'text_emb/*', arity: '0..*')
    tuple val(wanted), path(sets, stageAs: 'sets/?', arity: '0..*') // what options name, in order, and the folders of it
    path models
    env 'PYCURATE_CODE'

    output:
    path('targets.npz', emit: targets)
    path('times/*.json', emit: times)

    script:
    """
    compare.py targets --model-dir ${models} ${References.options(wanted, sets)} ${captions ? '--s-clip-loss ' : ''}${task.ext.options} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir times
    touch targets.npz times/COMPARE_TARGETS.json
    """
}

// Compare the samples of a partition with them.
process COMPARE_SCORES {
    tag "${number}"
    label 'process_medium'

    input:
    tuple val(number), path(samples, stageAs: 'samples/*'), path(embeddings, stageAs: 'img_emb/*'), path(texts, stageAs: 'text_emb/*', arity: '0..*')
    path targets
    env 'PYCURATE_CODE'

    output:
    tuple(val(number), path('comparisons/*.parquet'), emit: comparisons)
    path('times/*.json', emit: times)

    script:
    """
    compare.py scores --partition ${number} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir comparisons times
    touch comparisons/comparisons_${number}.parquet times/COMPARE_SCORES_${number}.json
    """
}

workflow COMPARE {
    take:
    captions // whether captions are compared
    tables   // [number, samples, scores, img_emb, dedup_emb or []] of each partition
    texts    // [number, text_emb] of each, where captions are scored
    sets     // [what options name, in order, the folders of it], a value
    models
    code

    main:
    rows = tables.map { number, samples, _scores, embeddings, _descriptors -> [number, samples, embeddings] }
    rows = captions ? rows.join(texts) : rows.map { row -> row + [[]] }
    samples = Tables.column(rows, 1)
    drawn = captions ? rows : channel.empty()                   // from which captions are drawn
    COMPARE_TARGETS(
        captions,
        captions ? samples : samples.map { files -> files.take(1) },
        Tables.column(drawn, 2),
        Tables.column(drawn, 3),
        sets,
        models,
        code,
    )
    COMPARE_SCORES(rows, COMPARE_TARGETS.out.targets, code)

    emit:
    comparisons = COMPARE_SCORES.out.comparisons                // [number, comparisons] of each
    times = COMPARE_TARGETS.out.times.mix(COMPARE_SCORES.out.times)
}
