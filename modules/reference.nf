// A reference set that consists of shards: embedded like the input, and collected into a results folder.

include { EMBED as EMBED_REFERENCE } from './embed'

process REFERENCE_FOLDER {
    label 'process_single'

    input:
    path samples, stageAs: 'staged/samples/*', arity: '1..*'
    path embeddings, stageAs: 'staged/img_emb/*', arity: '1..*'
    path descriptors, stageAs: 'staged/dedup_emb/*', arity: '0..*'
    val partitions // how many

    output:
    path 'reference', emit: folder

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
    partitions // [number, text of the partition file, mounts]
    models
    code       // of EMBED's script

    main:
    EMBED_REFERENCE(partitions, models, code)
    REFERENCE_FOLDER(
        Tables.column(EMBED_REFERENCE.out.samples, 1),
        Tables.column(EMBED_REFERENCE.out.embeddings, 1),
        Tables.column(EMBED_REFERENCE.out.embeddings, 2),
        partitions.count(),
    )

    emit:
    folder = REFERENCE_FOLDER.out.folder
}
