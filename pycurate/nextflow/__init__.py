"""All that knows Nextflow."""
