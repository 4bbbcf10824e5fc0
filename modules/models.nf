// Bring the weights of the run's models, before any GPU is asked for. Kept for good (storeDir in conf/modules.config).
process MODELS {
    tag "${name}"
    label 'process_single'

    input:
    val name
    env 'PYCURATE_CODE'

    output:
    path "${name}", emit: folder

    script:
    """
    models.py fetch --model-dir ${name} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir ${name}
    """
}
