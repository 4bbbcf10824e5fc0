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
    models.py fetch --model-dir ${name} ${task.ext.models ?: ''} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir ${name}
    """
}

// See that the models give what was published; what is found goes to pipeline_info.
process MODELS_VERIFY {
    label 'process_low'

    input:
    path models
    env 'PYCURATE_CODE'

    output:
    path 'pipeline_info/models.json', emit: report

    script:
    """
    models.py verify --model-dir ${models} --report pipeline_info/models.json ${task.ext.models ?: ''} ${task.ext.args ?: ''}
    """
}
