"""The subcommands of `pycurate`, one module each."""
