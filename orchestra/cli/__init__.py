"""The command line: one module per command, each of which parses, calls and prints."""

from orchestra.cli.main import main

__all__ = ["main"]
