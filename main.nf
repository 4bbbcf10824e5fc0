// pycurate: PARTITION -> EMBED -> SCORE -> DEDUP -> DECIDE -> WRITE -> REPORT (-> UPLOAD). This file only wires; the work is in bin/ and pycurate/.

include { TESTSET                          } from './modules/testset'
include { MODELS; MODELS_VERIFY            } from './modules/models'
include { MODELS as MODELS_SCORERS         } from './modules/models'
include { PARTITION                        } from './modules/partition'
include { PARTITION as PARTITION_REFERENCE } from './modules/partition'
include { EMBED                            } from './modules/embed'
include { SCORE                            } from './modules/score'
include { REFERENCE                        } from './modules/reference'
include { COMPARE                          } from './modules/compare'
include { DEDUP; DEDUP_LEAKAGE             } from './modules/dedup'
include { DECIDE                           } from './modules/decide'
include { WRITE                            } from './modules/write'
include { REPORT_EXAMPLES; REPORT          } from './modules/report'
include { UPLOAD                           } from './modules/upload'

workflow {
    Call.begin()
    def settings = Recipes.applied(Typing.typed(params))        // nothing below reads params
    if (settings.help) {
        println Parameters.help(settings.show_hidden)
        return
    }
    Parameters.check(settings, args - (workflow.stubRun ? ['true'] : [])) // Nextflow takes -stub-run for an option with a value
    Paths.check(settings)
    given = settings.testset ? null : Shards.input(settings.input, launchDir)
    home = Models.home(settings)
    outdir = Paths.outdir()                                     // on this machine, also where --outdir is an address
    Call.take(outdir, launchDir)
    Orphans.avoid()                                             // whose jobs may go on
    Cores.watch()

    // What each script can reach of the package: an edit of it must not be answered from the cache, nor run in an older image.
    code = Code.keys(projectDir)
    if (settings.testset) {
        TESTSET(code.testset)
    }
    input = settings.testset ? TESTSET.out.folder.map { folder -> folder.toString() } : given

    // A refusal stands in the way of all that follows, which would take a set without partitions for an empty one.
    PARTITION(input, code.partition)
    found = PARTITION.out.partitions                            // [its partition files, []], a value
        .mix(PARTITION.out.refusal.map { _input, text -> Call.refuse(text) })
        .map { _input, files -> [files, []] }
        .first()
    PARTITION.out.remarks.subscribe { text -> print text }      // what was named and is no input
    sets = References.folders(settings)                         // of images that options name beside the input
    raw = sets.findAll { folder -> !References.embedded(folder) }*.toString() // those that hold shards
    if (raw) {                                                  // and [folder, partition files] of each of those
        PARTITION_REFERENCE(channel.fromList(raw), code.partition)
        others = PARTITION_REFERENCE.out.partitions
            .mix(PARTITION_REFERENCE.out.refusal.map { folder, text -> Call.refuse(text, "${References.option(settings, folder)}: ") })
            .toList()
            .flatMap { all -> References.complete(all, raw.size()) }
        found = found.map { files, _none -> [files] }.combine(others.map { all -> [all] }).first()
    }

    // What the user names is checked, by PARTITION, before anything is fetched for it.
    folder = Models.named(settings) ? found.map { _files, _others -> Models.folder(settings) } : Models.folder(settings)
    MODELS(folder, '', home, code.models)
    models = MODELS.out.fetched.map { sums -> sums.parent }     // folder of weights, a value
    scoring = models                                            // the same with those of more scorers
    if (settings.scorer) {
        // Once MODELS is done, so that what it fetched is linked and not fetched twice.
        wider = models.map { _folder -> Models.wider(settings) }
        MODELS_SCORERS(wider, settings.scorer, home, code.models)
        scoring = MODELS_SCORERS.out.fetched.map { sums -> sums.parent }
    }
    MODELS_VERIFY(models, code.models)

    // Input, other sets, classes and models are there: only now does anything change of what an earlier run left.
    accepted = found
        .combine(scoring)
        .map { files, folders, _models -> Results.begin(outdir, [files, folders]) }
    listed = accepted.map { files, _folders -> files }           // all partition files, a list
    partitions = Shards.partitions(listed)                      // [number, text of the partition file, mounts]
    places = partitions
        .map { _number, lines, _mounts -> lines }
        .toList()
        .map { texts -> Shards.byName(texts) }                  // [name: line of a partition file], a value

    EMBED(partitions, models, code.embed)
    measured = EMBED.out.measures                               // [number, measures, img_emb, metadata, masked_emb or []]
        .join(EMBED.out.embeddings.map { number, embeddings, _descriptors -> [number, embeddings] })
        .join(EMBED.out.metadata)
        .join(EMBED.out.masked)
    SCORE(measured, scoring, Parameters.scoresCaptions(settings), code.score)

    made = channel.value([])                                    // [folder, its tables] of each set of shards, a value
    if (raw) {
        REFERENCE(accepted.map { _files, folders -> folders }, models, code.embed)
        made = REFERENCE.out.filter { all -> all.size() == raw.size() } // fewer where the run is being stopped
    }
    named = made.map { all -> References.tables(sets, all) }    // where the tables of each set are, a value
    references = named.map { tables -> References.of(settings, ['reference'], tables) } // [what they are, folders]

    tables = EMBED.out.samples.join(SCORE.out.scores).join(EMBED.out.embeddings)        // [number, samples, scores, img_emb, dedup_emb or []]
    samples = Tables.column(tables, 1)                          // all files of each, values
    scores = Tables.column(tables, 2)
    embeddings = Tables.column(tables, 3)
    descriptors = Tables.column(tables, 4)                      // of another encoder than the scores', if there are any
    times = channel.empty()
    comparisons = channel.value([])                             // all files, a value
    captions = Parameters.comparesCaptions(settings)
    if (References.wanted(settings) || captions) {
        targets = named.map { folders -> References.of(settings, ['similar', 'concept'], folders) }
        COMPARE(captions, tables, SCORE.out.texts, targets, scoring, code.compare)
        comparisons = Tables.column(COMPARE.out.comparisons, 1)
        times = COMPARE.out.times
    }
    pairs = channel.value([[], [], []])                         // [cells, assigned, pairs], a value
    if (settings.dedup) {
        images = EMBED.out.stats.map { stats -> Tables.readable(stats) }.sum()
        DEDUP(settings.dedup_single, images, references, tables, code.dedup)
        pairs = DEDUP.out.search
        times = times.mix(DEDUP.out.times)
    }
    leaks = channel.value([])                                   // of all partitions, a value
    if (settings.leakage) {
        DEDUP_LEAKAGE(tables, named.map { folders -> References.of(settings, ['leakage'], folders) }, code.dedup)
        leaks = Tables.sorted(DEDUP_LEAKAGE.out.leaks)
        times = times.mix(DEDUP_LEAKAGE.out.times)
    }
    lists = [Blocklists.named(settings), Blocklists.files(settings)]
    words = settings.balance_words ? Paths.of(settings.balance_words) : []
    DECIDE(pairs, samples, scores, comparisons, embeddings, descriptors, references, leaks, lists, words, code.decide)

    WRITE(
        Tables.plans(DECIDE.out.plans)                          // [number, parquet, tsv]
            .combine(places.map { byName -> [byName] })
            .map { number, plan, tsv, byName -> [number, plan] + Shards.pick(tsv, byName) },
        code.write,
    )

    REPORT_EXAMPLES(DECIDE.out.decisions, samples, embeddings, descriptors, code.report)
    records = times.mix(EMBED.out.times, SCORE.out.times, DECIDE.out.times, WRITE.out.times)
    REPORT(
        REPORT_EXAMPLES.out.examples
            .combine(places.map { byName -> [byName] })
            .combine(MODELS_VERIFY.out.report)                  // a run is not reported before its models were tested
            .map { examples, tsv, byName, _findings -> [examples] + Shards.pick(tsv, byName) },
        DECIDE.out.decisions,
        samples,
        Tables.sorted(EMBED.out.stats),
        DECIDE.out.search.ifEmpty([]),                          // duplicates.parquet, dedup.json, leakage.parquet, those that there are
        Tables.sorted(WRITE.out.stats.flatten()),
        Tables.sorted(records),
        scoring,
        partitions.count(),
        Parameters.json(settings, launchDir),
        code.report,
    )

    published = REPORT.out.page.map { _page -> Paths.of(outdir) } // of a stub, which leaves nothing
    if (!workflow.stubRun) {
        published = Results.publish(
            new Published(outdir, settings.publish_dir_mode),
            records,                                            // each names the files that its task left
            listed.mix(MODELS_VERIFY.out.report.combine(listed.map { _files -> true }).map { file, _begun -> file }, REPORT.out.versions, REPORT.out.page),
            REPORT.out.summary,
            REPORT.out.kinds,
        )
    }
    if (Stores.destination()) {
        UPLOAD(Stores.destination(), accepted, records, published, code.upload)
    }

    def run = workflow
    run.onComplete { Results.finish(run.success && !run.stubRun && !run.preview, Paths.outdir(), Stores.destination()) }
}
