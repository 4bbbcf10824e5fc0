"""The pipeline, a module for each stage (`pycurate.results.layout.STAGES`). A stage imports no other stage."""
