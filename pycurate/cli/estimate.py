"""`pycurate estimate`: what a run would take, before it is started."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pycurate.cli.model_options import run_model_options
from pycurate.cli.options import Number
from pycurate.cli.terminal import echo
from pycurate.errors import UsageError
from pycurate.estimate.sampling import Interval
from pycurate.hardware import cores
from pycurate.models.presets import dedup_threshold_of
from pycurate.models.selection import ModelSelection
from pycurate.text import count_of, duration, rate, size

if TYPE_CHECKING:  # what these import takes seconds, and --help does without
    from pycurate.estimate.plan import Disk, Estimate, Times, Workload


@click.command()
@click.option(
    "--input-path", "source", required=True, help="Folder, glob, brace range ({00000..00099}.tar) or list file."
)
@run_model_options
@click.option(
    "--gpus", default="1,8,64", show_default=True, help="Numbers of GPUs to estimate for, separated by commas."
)
@click.option("--seconds", default=20.0, show_default=True, type=Number(1), help="Length of the trial.")
@click.option("--shards", default=50, show_default=True, type=click.IntRange(10), help="Shards to read.")
@click.option("--all", "everything", is_flag=True, help="Read the headers of all shards.")
@click.option(
    "--images-per-second",
    type=Number(0, 10**6, min_open=True),
    metavar="NUMBER",
    help="Rate of EMBED; skips the trial.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def estimate(
    source: str,
    models: ModelSelection,
    gpus: str,
    seconds: float,
    shards: int,
    everything: bool,
    images_per_second: float | None,
    as_json: bool,
) -> None:
    """Estimate the time and disk space of a run on --input-path, and report problems in the input.

    Reads the shards' headers and tries the models on this machine. On a cluster, run it on a node with a GPU.
    """
    from pycurate.estimate.plan import Defaults, Machine, dim_of, make_estimate
    from pycurate.estimate.survey import survey
    from pycurate.estimate.trial import NotLoadedError, try_out
    from pycurate.shards.listing import find_shards

    numbers = _numbers(gpus)
    defaults = Defaults.read()
    held = survey(find_shards(source), None if everything else shards)
    if not held.images.value:
        codes = ", ".join(sorted({code for one in held.counts for code in one.errors}))
        raise UsageError(
            f"None of the {len(held.counts)} shards that were read contains an image, only errors: {codes}."
        )
    missing = None
    each = cores() / _gpus_here()
    threshold = dedup_threshold_of(models.encoders.get("dedup_emb", models.encoders["img_emb"])) or 0.0
    if images_per_second is not None:
        given = Interval(images_per_second, images_per_second, images_per_second)
        machine = Machine(given, dim_of(models), each, models.dedup_views, threshold=threshold)
    else:
        try:
            trial = try_out(held.counts, models, defaults.batch_size, seconds)
            machine = Machine.of(trial, each, models.dedup_views, threshold)
        except NotLoadedError as error:
            missing = str(error)
            machine = Machine(None, dim_of(models), each, models.dedup_views, threshold=threshold)
    plan = make_estimate(held, machine, numbers, defaults)
    if as_json:
        echo(*json.dumps(asdict(plan) | {"no_trial": missing}, indent=2).split("\n"))
    else:
        echo(*_lines(plan, missing))


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise UsageError(f"--gpus is {text!r}; give whole numbers from 1 on, as in 1,8,64.")
    return numbers


def _gpus_here() -> int:
    import torch

    return max(1, torch.cuda.device_count())


def _lines(plan: "Estimate", missing: str | None) -> Iterator[str]:
    yield from _input(plan)
    yield from _trial(plan, missing)
    yield from _tasks(plan)
    yield from _times(plan)
    yield from _disk(plan.disk)


def _input(plan: "Estimate") -> Iterator[str]:
    part = plan.read < plan.shards
    read = f"{plan.read:,}" if part else "all"
    yield f"Input: {count_of(plan.shards, 'shard')}, {size(plan.bytes)}; headers read of {read}"
    yield f"  samples   {_count(plan.samples, part)}"
    formats = ", ".join(f"{name} {_percent(share)}" for name, share in plan.formats.items())
    each = size(plan.bytes / plan.images.value)
    yield f"  images    {_count(plan.images, part)}, {each} each with sidecars; {formats}"
    yield "Possible problems:" if plan.findings else "Possible problems: none found"
    for finding in plan.findings:
        stop = "STOPS THE RUN: " if finding.fatal else ""
        yield f"  {stop}{finding.count:,} of {finding.of:,} {finding.what}: {finding.meaning}"
    if part:
        unseen = _percent(1 - 0.05 ** (1 / plan.read))
        yield f"  (of {count_of(plan.read, 'shard')} read; a problem in fewer than {unseen} of all may not show)"


def _trial(plan: "Estimate", missing: str | None) -> Iterator[str]:
    trial, pace = plan.machine.trial, plan.machine.rate
    if missing:
        yield f"No trial: {missing}"
    elif pace and not trial:
        yield f"Rate: {pace.value:g} images/s, as given; without a trial, so task start-up is not included"
    if pace and trial:
        yield f"Trial of {count_of(trial.images, 'image')} on {trial.device}"
        yield (
            f"  EMBED     {rate(pace.value)} images/s ({rate(pace.low)} to {rate(pace.high)} in "
            f"{len(trial.rates)} runs), {trial.embed_start:.1f} s to start a task"
        )
        gpu = size(trial.gpu_memory) + " (torch)" if trial.gpu_memory is not None else "not measured, no GPU found"
        yield f"  memory    {size(trial.memory)} peak; GPU: {gpu}"
        if trial.gpu_memory is None:
            yield "  As this machine has no GPU, `GPUs` below stands for CPU machines like this one."
        for score, shares in trial.keeps.items():
            kept = ", ".join(f"{threshold} keeps {_percent(share)}" for threshold, share in shares.items())
            yield f"  --{score}_threshold: {kept}"
        for score, levels in trial.tops.items():
            kept = ", ".join(f"{share} keeps {level:.3g} and more" for share, level in levels.items())
            yield f"  --keep_top {score}: {kept}"


def _tasks(plan: "Estimate") -> Iterator[str]:
    from pycurate.estimate.plan import MINUTES

    yield f"EMBED tasks: {_task(plan.tasks)}"
    if plan.minutes_tasks and plan.machine.rate:
        option = f"--partition_minutes {MINUTES} --images_per_second {float(f'{plan.machine.rate.value:.3g}'):g}"
        yield f"  {option} would give {_task(plan.minutes_tasks)}"


def _task(tasks: "Workload") -> str:
    took = f", {duration(tasks.seconds)} each" if tasks.seconds is not None else ""
    return f"{tasks.count:,} of {size(tasks.bytes)} and about {tasks.images:,.0f} images{took}"


def _times(plan: "Estimate") -> Iterator[str]:
    from pycurate.balance.cells import cells_for
    from pycurate.estimate import plan as costs

    def longer(seconds: float) -> str:
        """What so much for each image comes to."""
        return duration(plan.images.value * seconds)

    yield "Time, without queueing and Nextflow itself; WRITE as if every sample were kept:"
    yield f"  {'GPUs':>6}{'EMBED':>12}{'SCORE':>12}{'DEDUP':>12}{'WRITE':>12}   total with DEDUP"
    for row in plan.times:
        cells = (
            f"{duration(part.value) if part else '?':>12}" for part in (row.embed, row.score, row.dedup, row.write)
        )
        yield f"  {row.gpus:>6}{''.join(cells)}   {_total(row)}"
    if plan.machine.views > 1:
        yield f"  EMBED and DEDUP are of {plan.machine.views} embeddings per image (--dedup_views)."
    yield f"  --keep_top and --score need no GPU; with them DECIDE takes about {longer(costs.SELECT_SECONDS)} more,"
    yield f"  with --max_caption_count {longer(costs.CAPTION_SECONDS)}, --language {longer(costs.LANGUAGE_SECONDS)},"
    clustered = longer(costs.CELL_SECONDS * cells_for(round(plan.images.value)))
    yield f"  --balance cells {clustered} on one core, --balance captions {longer(costs.WORDS_SECONDS)}."
    yield f"  s_clip_loss takes {longer(costs.COMPARE_SECONDS)} of one core in all, shared by a task per partition."
    yield f"  --similar takes {longer(1000 * costs.SIMILAR_SECONDS)} for each 1,000 images of its sets,"
    yield f"  --concept {longer(costs.CONCEPT_SECONDS)}."
    yield f"  With --text_area EMBED takes {longer(costs.TEXT_SECONDS)} more, shared by its CPU cores;"
    yield "  with clip_score_masked as much, and it embeds images with text twice."
    yield f"  With a --blocklist of PDQ hashes EMBED takes {longer(costs.PDQ_SECONDS)} more, shared by its CPU cores;"
    yield f"  --leakage takes {longer(1000 * costs.LEAKAGE_SECONDS)} of one core for each 1,000 images of its sets."
    if max(row.gpus for row in plan.times) > plan.tasks.count:
        yield "  More GPUs than EMBED tasks do not help; a smaller --partition_bytes gives more tasks."


def _total(row: "Times") -> str:
    if not row.all:
        return "?"
    return _span(row.all) if row.complete else f"more than {_span(row.all)}"


def _disk(disk: "Disk") -> Iterator[str]:
    unknown = "not measured"
    yield "Disk:"
    yield f"  embeddings  {size(disk.embeddings.value) if disk.embeddings else unknown}"
    yield f"  tables      {size(disk.tables.value) if disk.tables else unknown}"
    yield f"  output      {size(disk.output)} at most"
    yield "  work folder no extra space if on the same file system as the results (hard links), else the same again;"
    yield f"              DEDUP needs about {size(disk.dedup.value)} more"


def _count(number: Interval, estimated: bool) -> str:
    if not estimated:
        return f"{number.value:,.0f}"
    value, low, high = (f"{float(f'{bound:.4g}'):,.0f}" for bound in (number.value, number.low, number.high))
    return f"about {value} (95 % interval {low} to {high})"


def _span(time: Interval) -> str:
    value, low, high = (duration(bound) for bound in (time.value, time.low, time.high))
    return value if low == high else f"{value} ({low} to {high})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
