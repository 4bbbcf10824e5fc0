// Apply the filters, drop duplicates by rank, decide about every sample, and plan the output.
process DECIDE {
    label 'process_medium'
    ext(mounts: { Mounts.ofOwn() }, options: { Options.of('DECIDE') })

    input:
    tuple path(cells, stageAs: 'cells/*', arity: '0..*'), path(assigned, stageAs: 'assigned/*', arity: '0..*'), path(pairs, stageAs: 'pairs/*', arity: '0..*')
    path(samples, stageAs: 'samples/*', arity: '1..*')
    path(scores, stageAs: 'scores/*', arity: '1..*')
    path(comparisons, stageAs: 'comparisons/*', arity: '0..*')
    path(embeddings, stageAs: 'img_emb/*', arity: '1..*')
    path(descriptors, stageAs: 'dedup_emb/*', arity: '0..*')
    tuple val(named), path(references, stageAs: 'references/?', arity: '0..*')
    path(leaks, stageAs: 'leaks/*', arity: '0..*')
    tuple val(entries), path(lists, stageAs: 'blocklists/?', arity: '0..*') // of hashes
    path(words, stageAs: 'balance_words', arity: '0..*') // of --balance captions
    env 'PYCURATE_CODE'

    output:
    tuple(path('decisions.parquet'), path('decisions.json'), emit: decisions)
    path('{duplicates.parquet,dedup.json,leakage.parquet}', emit: search, optional: true)
    path('blocked.parquet', optional: true)
    path('uids_{kept,dropped}.npy', emit: uids)
    path('plan/*.{parquet,tsv}', emit: plans, optional: true)
    path('times/*.json', emit: times)

    script:
    """
    decide.py ${References.options(named, references)} ${Blocklists.options(entries, lists)} ${words ? '--balance-words balance_words' : ''} ${task.ext.options} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir plan times
    touch decisions.parquet decisions.json uids_kept.npy uids_dropped.npy plan/plan_00000.{parquet,tsv} times/DECIDE.json
    """
}
