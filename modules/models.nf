// Download the weights of the run's models before any GPU is requested. They are written to --model_dir directly rather than
// to the task's folder, so that an interrupted download can resume, and of two runs that start at once one waits for the other.
process MODELS {
    tag "${name}"
    label 'process_single'
    ext(mounts: { Mounts.ofOwn() }, options: { Options.of('MODELS') })

    input:
    val name
    val scorer // scorers beyond those of the preset; or ''
    path(home, stageAs: 'model_dir') // the folder of all weights, under the name that a user knows it by
    env 'PYCURATE_CODE'

    output:
    path("${name}/fetched.sha256", emit: fetched) // written last; where it is no task is run (storeDir in conf/modules.config)

    script:
    """
    models.py fetch --model-dir model_dir/${name} ${task.ext.options} ${scorer ? "--scorer ${Shell.quote(scorer)}" : ''} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir ${name}
    touch ${name}/fetched.sha256
    """
}

// Test that the models give the published results; the findings go to pipeline_info, and to --model_dir for the next run.
process MODELS_VERIFY {
    label 'process_low'
    ext(mounts: { Mounts.ofOwn() }, options: { Options.of('MODELS') })

    input:
    path models
    env 'PYCURATE_CODE'

    output:
    path('pipeline_info/models.json', emit: report)

    script:
    """
    models.py verify --keep --model-dir ${models} --report pipeline_info/models.json ${task.ext.options} ${task.ext.args ?: ''}
    """

    stub:
    """
    mkdir pipeline_info
    touch pipeline_info/models.json
    """
}
