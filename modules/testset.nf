// Generate a tiny set of shards (-profile test).
process TESTSET {
    label 'process_single'

    input:
    env 'PYCURATE_CODE'

    output:
    path('shards', emit: folder)

    script:
    """
    testset.py --out shards
    """

    stub:
    """
    mkdir shards
    touch shards/00000.tar
    """
}
