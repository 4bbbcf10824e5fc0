// Everything that needs pixels: decode each image once, compute embeddings and pixel scores.
process EMBED {
    tag "${number}"
    label 'process_gpu'
    ext mounts: { mounts }, options: { Options.of('EMBED') } // of the shards, in a container

    input:
    tuple val(number), stdin, val(mounts) // stdin: the partition file, which no shell reads, whatever shards are called
    path models
    env 'PYCURATE_CODE'

    output:
    tuple val(number), path('samples/*.parquet'), emit: samples
    tuple val(number), path('measures/*.parquet'), emit: measures
    tuple val(number), path('img_emb/*.npy'), path('dedup_emb/*.npy', arity: '0..*'), emit: embeddings
    tuple val(number), path('metadata/*.parquet'), emit: metadata
    path 'stats/*.json', emit: stats
    path 'times/*.json', emit: times

    script:
    """
    ${Shards.receive(number)}
    embed.py --partition ${number} --model-dir ${models} --workers ${task.cpus} ${task.ext.options} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir samples measures img_emb metadata stats times
    touch {samples/samples,measures/measures,metadata/metadata}_${number}.parquet img_emb/img_emb_${number}.npy times/EMBED_${number}.json
    echo '{"readable": 1}' > stats/stats_${number}.json
    """
}
