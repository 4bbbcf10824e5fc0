// Everything that needs pixels: decode each image once, compute embeddings and pixel scores.
process EMBED {
    tag "${number}"
    label 'process_gpu'
    ext(mounts: { "${mounts} ${Mounts.ofOwn()}" }, options: { Options.of('EMBED', References.unread(number)) }) // in a container

    input:
    tuple val(number), stdin, val(mounts) // 00000, or KEY:00000 of another set; stdin: the partition file, which no shell reads
    path models
    env 'PYCURATE_CODE'

    output:
    tuple(val(number), path('samples/*.parquet'), emit: samples)
    tuple(val(number), path('measures/*.parquet'), emit: measures)
    tuple(val(number), path('img_emb/*.npy'), path('dedup_emb/*.npy', arity: '0..*'), emit: embeddings)
    tuple(val(number), path('masked_emb/*.npy', arity: '0..*'), emit: masked)
    tuple(val(number), path('metadata/*.parquet'), emit: metadata)
    path('stats/*.json', emit: stats)
    path('times/*.json', emit: times)

    script:
    def own = References.number(number)
    """
    ${Shards.receive(own)}
    embed.py --partition ${own} --model-dir ${models} --workers ${task.cpus} ${task.ext.options} ${task.ext.args ?: ''}
    """

    stub:
    def own = References.number(number)
    """
    mkdir samples measures img_emb metadata stats times
    touch {samples/samples,measures/measures,metadata/metadata}_${own}.parquet img_emb/img_emb_${own}.npy times/EMBED_${own}.json
    echo '{"readable": 1}' > stats/stats_${own}.json
    """
}
