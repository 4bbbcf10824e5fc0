"""`pycurate verify`: whether results are as their run left them."""

from pathlib import Path

import click

from pycurate.cli.options import FOLDER
from pycurate.cli.terminal import echo
from pycurate.errors import ManifestError
from pycurate.text import count_of, size


@click.command()
@click.argument("results", type=FOLDER)
@click.option("--quick", is_flag=True, help="Compare names and sizes only, without reading the files.")
def verify(results: Path, quick: bool) -> None:
    """Check the files in RESULTS against the manifest of their run; exits with 1 if one differs.

    Lists files that are missing, truncated, changed or left over from another run. Files of your own are ignored.
    """
    from pycurate.results.manifest import read_manifest
    from pycurate.review.verify import verify as deviations

    entries = read_manifest(results)
    found = 0
    for deviation in deviations(results, entries, quick):
        echo(f"{deviation.name}: {deviation.what}")
        found += 1
    if found:
        raise ManifestError(
            f"{results} is not as the run left it ({count_of(found, 'deviation')}); "
            "start it again with -resume, which publishes what differs and removes what is left over."
        )
    whole = sum(entry.bytes for entry in entries.values())
    held = "names and sizes are" if quick else "each is"
    echo(f"{count_of(len(entries), 'file')}, {size(whole)}: {held} as the run left it.")
