// Compute each scorer's column from embeddings and from EMBED's pixel scores; embed captions where they are scored.
process SCORE {
    tag "${number}"
    label 'process_low'
    ext(mounts: { Mounts.ofOwn() }, options: { Options.of('SCORE') })

    input:
    tuple val(number), path(measures, stageAs: 'measures/*'), path(embeddings, stageAs: 'img_emb/*'), path(metadata, stageAs: 'metadata/*'), path(masked, stageAs: 'masked_emb/*', arity: '0..*')
    path models
    val clip_score // whether captions are scored
    env 'PYCURATE_CODE'

    output:
    tuple(val(number), path('scores/*.parquet'), emit: scores)
    tuple(val(number), path('text_emb/*.npy'), emit: texts, optional: true)
    path('times/*.json', emit: times)

    script:
    """
    score.py --partition ${number} --model-dir ${models} ${task.ext.options} ${clip_score ? '--clip-score' : ''} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir scores times
    touch scores/scores_${number}.parquet times/SCORE_${number}.json
    ${clip_score ? "mkdir text_emb && touch text_emb/text_emb_${number}.npy" : ''}
    """
}
