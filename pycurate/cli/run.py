"""`pycurate run`: the workflow, with a view of how it goes."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from pycurate.cli.options import FILE
from pycurate.cli.run_options import EPILOG, run_options
from pycurate.cli.terminal import console, echo
from pycurate.errors import UsageError
from pycurate.nextflow.parameters import (
    expanded,
    parameter_file,
    read_parameter_file,
    results_folder,
    root,
    run_parameters,
)
from pycurate.parameters import default_of, with_recipe

if TYPE_CHECKING:
    from pycurate.nextflow.progress import Progress


@click.command(epilog=EPILOG)
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

    chosen = with_recipe((read_parameter_file(params_file) if params_file else {}) | given)
    if "input" not in chosen and "test" not in (profile or "").split(","):
        raise UsageError("Give the input shards, for example --input-path 'shards/*.tar'.")
    work_dir = Path(expanded(str(work_dir)))
    every = {one.name: one.default for one in run_parameters()} | chosen
    notes = results_folder(every["outdir"] or default_of("outdir")) / "pipeline_info"
    saved = notes / "parameters.yaml"  # once the call was good, those of this run, wherever Nextflow's own notes are
    earlier = _identity(saved)
    with TemporaryDirectory(prefix="pycurate-") as folder:
        file = Path(folder) / "parameters.yaml"
        file.write_text(parameter_file(chosen), encoding="utf-8")
        command = ["nextflow"]
        for site in site_files:
            command += ["-c", str(site)]
        command += ["run", str(root() / "main.nf"), "-params-file", str(file)]
        command += ["-work-dir", str(work_dir), "-ansi-log", "false"]
        command += ["-profile", profile] if profile else []
        command += ["-resume"] if resume else []
        # Filters of the user's own may need what only DECIDE has; what they drop is counted when it has ended.
        progress = Progress(work_dir, notes / "trace.txt", Filtering.of(every | {"filter": None}), bool(every["dedup"]))
        progress.disregard()
        status = _followed(command, {"PYCURATE_PARAMETERS": str(file)}, progress, ansi_log)
    if status:
        again = "again" if _identity(saved) in (None, earlier) else "with --resume"
        echo(f"The run stopped early; fix the cause, then run the same command {again}.")
        sys.exit(status)


def _identity(path: Path) -> tuple[int, int] | None:
    """What another file in its place does not have; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _followed(command: list[str], env: dict[str, str], progress: "Progress", ansi_log: bool | None) -> int:
    """Run Nextflow and show how it goes: 0, 1, or 128 and the number of the signal that stopped it."""
    from pycurate.nextflow.view import LogView, TerminalView, watch  # here, since rich takes time

    screen = console()
    view = TerminalView(screen) if (screen.is_terminal if ansi_log is None else ansi_log) else LogView(screen)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    try:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env, "PATH": path},
        )
    except FileNotFoundError as error:
        raise UsageError("nextflow was not found on PATH; run make setup, or load your cluster's module.") from error
    stopped: list[int] = []

    def stop(number: int, _frame: object) -> None:
        """Let Nextflow end its tasks. Not by SIGINT, which it has had already where a terminal sent it."""
        stopped.append(number)
        process.terminate()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        status = watch(process, progress, view)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if status and stopped:
        return 128 + stopped[0]
    return status if status in (0, 128 + signal.SIGINT, 128 + signal.SIGTERM) else 1
