// pycurate: PARTITION -> EMBED -> SCORE -> DEDUP -> DECIDE -> WRITE -> REPORT. This file only wires; the work is in bin/ and pycurate/.

include { TESTSET                  } from './modules/testset'
include { MODELS; MODELS_VERIFY    } from './modules/models'
include { MODELS as MODELS_SCORERS } from './modules/models'
include { PARTITION                } from './modules/partition'
include { EMBED                    } from './modules/embed'
include { SCORE                    } from './modules/score'
include { REFERENCE                } from './modules/reference'
include { DEDUP                    } from './modules/dedup'
include { DECIDE                   } from './modules/decide'
include { WRITE                    } from './modules/write'
include { REPORT_CHOOSE; REPORT    } from './modules/report'

workflow {
    if (params.help) {
        println Parameters.help("${projectDir}/nextflow_schema.json", params.show_hidden)
        return
    }
    Parameters.check(params, args, "${projectDir}/nextflow_schema.json")
    Paths.check(params)
    Results.begin(params.outdir)

    // The package's content: an edited package must not be answered from the cache, nor run in an older image.
    code = Code.hash("${projectDir}/pycurate")
    if (params.testset) {
        TESTSET(code)
    }
    input = params.testset ? TESTSET.out.folder.map { folder -> folder.toString() } : Shards.input(params.input, launchDir)

    home = Results.folder('model_dir', params.model_dir)
    MODELS(Parameters.folderName(params.encoder ?: params.preset, params.pixel_scorer), home, code)
    models = MODELS.out.fetched.map { sums -> sums.parent }     // folder of weights, a value
    scoring = models                                            // the same with those of more scorers
    if (params.scorer) {
        // Once MODELS is done, so that what it fetched is linked and not fetched twice.
        wider = models.map { _folder -> Parameters.folderName(params.encoder ?: params.preset, params.pixel_scorer, params.scorer) }
        MODELS_SCORERS(wider, home, code)
        scoring = MODELS_SCORERS.out.fetched.map { sums -> sums.parent }
    }
    MODELS_VERIFY(models, code)

    PARTITION(input, code)
    partitions = Shards.partitions(PARTITION.out.partitions)    // [number, text of the partition file, mounts]
    places = partitions
        .map { _number, lines, _mounts -> lines }
        .toList()
        .map { texts -> Shards.byName(texts) }                  // [name: line of a partition file], a value

    EMBED(partitions, models, code)
    SCORE(EMBED.out.measures.join(EMBED.out.embeddings).join(EMBED.out.metadata), scoring, code) // [number, measures, img_emb, metadata]

    sets = References.folders(params.reference)
    references = channel.fromList(sets.findAll { folder -> References.embedded(folder) })
    if (sets.any { folder -> !References.embedded(folder) }) {
        REFERENCE(channel.fromList(sets.findAll { folder -> !References.embedded(folder) }*.toString()).first(), models, code)
        references = references.mix(REFERENCE.out.folder)
    }

    tables = EMBED.out.samples.join(SCORE.out.scores).join(EMBED.out.embeddings)        // [number, samples, scores, img_emb]
    (samples, scores, embeddings) = (1..3).collect { column -> Tables.column(tables, column) } // all files of each, values
    pairs = channel.value([[], [], []])                         // [cells, assigned, pairs], a value
    times = channel.empty()
    if (params.dedup) {
        images = EMBED.out.stats.map { stats -> Tables.readable(stats) }.sum()
        DEDUP(params.dedup_single, images, references.toList(), tables, code)
        pairs = DEDUP.out.search
        times = DEDUP.out.times
    }
    DECIDE(pairs, samples, scores, embeddings, references.toList(), code)

    WRITE(
        Tables.plans(DECIDE.out.plans)                          // [number, parquet, tsv]
            .combine(places.map { byName -> [byName] })
            .map { number, plan, tsv, byName -> [number, plan, *Shards.pick(tsv, byName)] },
        code,
    )

    REPORT_CHOOSE(DECIDE.out.decisions, samples, embeddings, code)
    REPORT(
        REPORT_CHOOSE.out.examples
            .combine(places.map { byName -> [byName] })
            .map { examples, tsv, byName -> [examples, *Shards.pick(tsv, byName)] },
        DECIDE.out.decisions,
        samples,
        Tables.sorted(EMBED.out.stats),
        DECIDE.out.search.ifEmpty([]),                          // duplicates.parquet and dedup.json, or none
        Tables.sorted(WRITE.out.stats.flatten()),
        Tables.sorted(times.mix(EMBED.out.times, SCORE.out.times, DECIDE.out.times, WRITE.out.times)),
        scoring,
        partitions.count(),
        Parameters.json(params, launchDir),
        code,
    )

    def (run, outdir) = [workflow, params.outdir]
    run.onComplete { Results.finish(run.success, outdir) }
}
