"""`pycurate run`: the workflow, with a view of how it goes."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from pycurate.cli.run_options import run_options
from pycurate.cli.terminal import console, echo
from pycurate.errors import UsageError
from pycurate.files import atomic
from pycurate.nextflow.parameters import expanded, parameter_file, read_parameter_file, root, run_parameters

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    epilog="Every parameter in docs/usage.md is an option, including those not shown here, such as --min-side 200."
)
@click.option(
    "--params-file", type=FILE, help="Parameter file, such as from `pycurate config`; options take precedence."
)
@click.option("--profile", help="Nextflow profile: slurm, apptainer, ...; separate several by commas.")
@click.option("--resume", is_flag=True, help="Continue an earlier run, reusing finished work.")
@click.option(
    "--work-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("work"),
    show_default=True,
    help="Nextflow's work directory.",
)
@click.option(
    "--site", "site_files", type=FILE, multiple=True, help="Additional Nextflow configuration file; repeatable."
)
@click.option(
    "--ansi-log/--no-ansi-log", default=None, help="Live table or log lines.  [default: a table on a terminal]"
)
@run_options
def run(
    given: dict[str, Any],
    params_file: Path | None,
    profile: str | None,
    resume: bool,
    work_dir: Path,
    site_files: tuple[Path, ...],
    ansi_log: bool | None,
) -> None:
    """Run the workflow and show, per stage, progress, images per second, kept and dropped samples, and time left.

    The parameters are saved in pipeline_info/parameters.yaml of the results.
    """
    from pycurate.filters.filtering import Filtering  # here and below, since they take time that --help need not take
    from pycurate.nextflow.progress import Progress
    from pycurate.nextflow.view import LogView, TerminalView, watch

    chosen = (read_parameter_file(params_file) if params_file else {}) | given
    if "input" not in chosen and "test" not in (profile or "").split(","):
        raise UsageError("Give the input shards, for example --input-path 'shards/*.tar'.")
    every = {one.name: one.default for one in run_parameters()} | chosen
    info = Path(expanded(every["outdir"])) / "pipeline_info"
    with atomic(info / "parameters.yaml") as temporary:
        temporary.write_text(parameter_file(chosen), encoding="utf-8")

    (info / "trace.txt").unlink(missing_ok=True)  # an earlier run's, which would be taken for this one's
    command = ["nextflow"]
    for file in site_files:
        command += ["-c", str(file)]
    command += ["run", str(root() / "main.nf"), "-params-file", str(info / "parameters.yaml")]
    command += ["-work-dir", str(work_dir), "-ansi-log", "false"]
    command += ["-profile", profile] if profile else []
    command += ["-resume"] if resume else []
    # Filters of the user's own may need what only DECIDE has; what they drop is counted when it has ended.
    progress = Progress(work_dir, info / "trace.txt", Filtering.of(every | {"filter": None}))
    screen = console()
    view = TerminalView(screen) if (screen.is_terminal if ansi_log is None else ansi_log) else LogView(screen)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    try:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": path},
        )
    except FileNotFoundError as error:
        raise UsageError("nextflow was not found on PATH; run make setup, or load your cluster's module.") from error
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())  # Nextflow then ends its tasks, and is waited for
    try:
        status = watch(process, progress, view)
    except KeyboardInterrupt:  # Nextflow was interrupted by the same key and ends its tasks
        status = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if status:
        echo("The run stopped early; fix the cause, then run the same command with --resume.")
        sys.exit(1)
