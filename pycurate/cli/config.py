"""`pycurate config`: a commented parameter file."""

from pathlib import Path
from typing import Any

import click

from pycurate.cli.run_options import run_options
from pycurate.cli.terminal import echo
from pycurate.errors import UsageError
from pycurate.files import atomic
from pycurate.nextflow.parameters import parameter_file


@click.command(epilog="Every parameter of docs/usage.md is an option, also those not shown, such as --min-side 200.")
@click.option(
    "--output-file",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    default=Path("image_pipeline.yaml"),
    show_default=True,
    help="The file; - prints it.",
)
@run_options
def config(given: dict[str, Any], output_file: Path) -> None:
    """Write a commented parameter file for `pycurate run --params-file` or `nextflow run -params-file`.

    What is not given stands in it as a comment with its default.
    """
    if "input" not in given:
        raise UsageError("Name the shards: --input-path 'shards/*.tar'.")
    text = parameter_file(given)
    if str(output_file) == "-":
        echo(*text.split("\n"))
        return
    with atomic(output_file) as temporary:
        temporary.write_text(text, encoding="utf-8")
    echo(f"{output_file} is written. Next: pycurate run --params-file {output_file}")
