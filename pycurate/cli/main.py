"""The command `pycurate`: plan a run, start and watch it, look at what it left, choose anew."""

import importlib

import click

import pycurate
from pycurate.cli.command import Group

COMMANDS = {  # in the order in which they are used
    "stages": "Say what each stage does and takes.",
    "estimate": "Survey the input and say what a run will take.",
    "config": "Write a commented parameter file for a run.",
    "run": "Run the workflow and show how it goes.",
    "inspect": "Say why an image was kept or dropped.",
    "refilter": "Choose anew with other thresholds, embedding nothing.",
    "verify": "Say whether results are as their run left them.",
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
    """Make a clean training set out of shards of images: good looking, safe, without duplicates."""


if __name__ == "__main__":
    main()
