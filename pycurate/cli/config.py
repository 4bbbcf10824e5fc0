"""`pycurate config`: a commented parameter file."""

from pathlib import Path
from shlex import quote
from typing import Any

import click

from pycurate.cli.run_options import EPILOG, run_options
from pycurate.cli.terminal import echo
from pycurate.errors import UsageError
from pycurate.files import atomic
from pycurate.nextflow.parameters import parameter_file
from pycurate.parameters import with_recipe


@click.command(epilog=EPILOG)
@click.option(
    "--output-file",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    default=Path("image_pipeline.yaml"),
    show_default=True,
    help="File to write; - prints to standard output.",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@run_options
def config(given: dict[str, Any], output_file: Path, force: bool) -> None:
    """Write a commented parameter file for `pycurate run --params-file` or `nextflow run -params-file`.

    Parameters that are not given are included as comments with their defaults.
    """
    if "input" not in given:
        raise UsageError("Give the input shards, for example --input-path 'shards/*.tar'.")
    text = parameter_file(with_recipe(given))
    if str(output_file) == "-":
        echo(*text.split("\n"))
        return
    if output_file.exists() and not force:
        raise UsageError(f"{output_file} exists; give another --output-file, or --force to replace it.")
    with atomic(output_file) as temporary:
        temporary.write_text(text, encoding="utf-8")
    echo(f"Wrote {output_file}. Next: pycurate run --params-file {quote(str(output_file))}")
