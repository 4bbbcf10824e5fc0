"""The command `pycurate`: plan a run, start and watch it, look at what it left, choose anew."""

import importlib

import click

import pycurate
from pycurate.cli.command import Group

COMMANDS = {  # in the order in which they are used
    "stages": "List the stages and the resources they need.",
    "estimate": "Inspect the input and estimate time and disk space of a run.",
    "config": "Write a commented parameter file for a run.",
    "run": "Run the workflow and show its progress.",
    "inspect": "Explain why an image was kept or dropped.",
    "calibrate": "Choose a threshold by judging a sample of pairs or images.",
    "refilter": "Try other thresholds without embedding again.",
    "verify": "Check that the results are complete and unchanged.",
}


class Commands(Group):
    """The subcommands, each imported when it is called: what they need takes seconds to import."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"pycurate.cli.{name}"), name)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"max_content_width": 110})
@click.version_option(pycurate.__version__, prog_name="pycurate")
def main() -> None:
    """Curate training images in WebDataset shards: filter by aesthetic and NSFW scores, remove duplicates."""


if __name__ == "__main__":
    main()
