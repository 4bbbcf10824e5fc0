// Ask the filters, drop duplicates by rank, decide about every sample, and plan the output.
process DECIDE {
    label 'process_high'

    input:
    tuple path(cells, stageAs: 'cells/*'), path(assigned, stageAs: 'assigned/*'), path(pairs, stageAs: 'pairs/*') // or three times []
    path samples, stageAs: 'samples/*'
    path scores, stageAs: 'scores/*'
    path embeddings, stageAs: 'img_emb/*'
    path references, stageAs: 'references/?'
    env 'PYCURATE_CODE'

    output:
    tuple path('decisions.parquet'), path('decisions.json'), emit: decisions
    path '{duplicates.parquet,dedup.json}', emit: search, optional: true
    path 'uids_{kept,dropped}.npy', emit: uids
    path 'plan/*.{parquet,tsv}', emit: plans, optional: true
    path 'times/*.json', emit: times

    script:
    """
    decide.py ${References.options(references)} ${Options.of('DECIDE')} ${task.ext.args ?: ''}
    """
}
