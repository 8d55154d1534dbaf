"""A command whose options are the arguments of a function."""

from collections.abc import Callable, Sequence

from jsonargparse import ArgumentParser

from lightning_nsd.processes.stopping import stoppable


def run_function(function: Callable[..., None], arguments: Sequence[str]) -> None:
    """Call a function with what a command line gives; options may be written with hyphens or underscores.

    The parser has no options of its own but `--help`: whatever the function calls an argument is the function's.
    """
    parser = ArgumentParser(prog=f"python -m lightning_nsd {function.__name__}", exit_on_error=False)
    parser.add_function_arguments(function, as_positional=False)
    given = parser.parse_args([_with_underscores(argument) for argument in arguments], defaults=False)
    with stoppable():
        function(**parser.instantiate(given))


def _with_underscores(argument: str) -> str:
    name, equals, value = argument.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}" if name.startswith("--") else argument
