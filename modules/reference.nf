// A reference set that is still shards: embedded like the input, and gathered as a run leaves it.

include { PARTITION as PARTITION_REFERENCE } from './partition'
include { EMBED as EMBED_REFERENCE         } from './embed'

process REFERENCE_FOLDER {
    label 'process_single'

    input:
    path samples, stageAs: 'staged/samples/*', arity: '1..*'
    path embeddings, stageAs: 'staged/img_emb/*', arity: '1..*'

    output:
    path 'reference', emit: folder

    script:
    """
    cp -rL staged reference
    """

    stub:
    """
    mkdir -p reference/samples reference/img_emb
    touch reference/samples/samples_00000.parquet reference/img_emb/img_emb_00000.npy
    """
}

workflow REFERENCE {
    take:
    input  // a folder of shards
    models
    code   // of each script, as Code.keys gives it

    main:
    PARTITION_REFERENCE(input, code.partition)
    EMBED_REFERENCE(Shards.partitions(PARTITION_REFERENCE.out.partitions), models, code.embed)
    REFERENCE_FOLDER(
        Tables.sorted(EMBED_REFERENCE.out.samples.map { _number, file -> file }),
        Tables.sorted(EMBED_REFERENCE.out.embeddings.map { _number, file -> file }),
    )

    emit:
    folder = REFERENCE_FOLDER.out.folder
}
