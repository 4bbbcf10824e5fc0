// Sets that consist of shards (--reference, --similar, ...): embedded like the input, and each collected into a results folder.

include { EMBED as EMBED_REFERENCE } from './embed'

process REFERENCE_FOLDER {
    label 'process_single'

    input:
    tuple val(set), path(samples, stageAs: 'staged/samples/*', arity: '1..*'), path(embeddings, stageAs: 'staged/img_emb/*', arity: '1..*'), path(descriptors, stageAs: 'staged/dedup_emb/*', arity: '0..*'), val(partitions) // how many

    output:
    tuple(val(set), path('reference'), emit: folder)

    script:
    """
    cp -rL staged reference
    echo '{"partitions": ${partitions}}' > reference/summary.json
    """

    stub:
    """
    mkdir -p reference/samples reference/img_emb
    touch reference/samples/samples_00000.parquet reference/img_emb/img_emb_00000.npy reference/summary.json
    """
}

workflow REFERENCE {
    take:
    found  // [[folder, its partition files], ...], a value
    models
    code   // of EMBED's script

    main:
    EMBED_REFERENCE(found.flatMap { sets -> References.shards(sets) }, models, code)
    embedded = EMBED_REFERENCE.out.samples.join(EMBED_REFERENCE.out.embeddings).toList()
    REFERENCE_FOLDER(found.map { sets -> [sets] }.combine(embedded.map { rows -> [rows] }).flatMap { sets, rows -> References.gathered(sets, rows) })

    emit:
    REFERENCE_FOLDER.out.folder.toList()                        // [[folder, its tables], ...], a value
}
