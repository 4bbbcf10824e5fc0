"""`pycurate stages`: what the workflow consists of."""

from pathlib import Path

import click

from pycurate.cli.options import FOLDER
from pycurate.cli.terminal import console
from pycurate.text import duration, size


@click.command()
@click.option("--verbose", is_flag=True, help="Show every process, with its measured usage.")
@click.option(
    "--results",
    type=FOLDER,
    help="With --verbose: show the usage measured in this run instead of the one shipped with pycurate.",
)
def stages(verbose: bool, results: Path | None) -> None:
    """List the stages and the resources that their tasks request."""
    from rich.table import Table

    from pycurate.nextflow.processes import measured_costs, processes, summed_up

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("process" if verbose else "stage", "what it does", "cpus", "memory", "time", "GPU"):
        table.add_column(heading, overflow="fold")
    known = processes()
    for one in known if verbose else summed_up(known):
        asks = one.resources
        table.add_row(one.name, one.about, str(asks.cpus), asks.memory, asks.time, "1" if asks.gpu else "-")
    screen = console()
    screen.print(table)
    if not verbose:
        screen.print("Initial requests; tasks that are killed request more when retried. All processes: --verbose.")
        return
    about, found = measured_costs(results)
    on_gpu = {one.name for one in known if one.resources.gpu}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("process", "tasks", "time of all", "longest", "cores busy", "peak memory", "on the GPU"):
        table.add_column(heading)
    for stage in found:
        cores = f"{stage.cpu_seconds / stage.seconds:.2f}" if stage.seconds else "-"
        gpu = size(stage.gpu_bytes) if stage.gpu_bytes else "not measured" if stage.name in on_gpu else "-"
        times = (duration(stage.seconds), duration(stage.longest))
        table.add_row(stage.name, str(stage.tasks), *times, cores, size(stage.peak_bytes), gpu)
    screen.print()
    screen.print(f"Measured: {about}")
    screen.print(table)
