"""The command line, `python -m recsys COMMAND`; `python -m recsys --help` lists the commands."""

from __future__ import annotations

if __name__ == "__main__":
    from recsys.interruption import exit_on_interrupt_of_imports

    exit_on_interrupt_of_imports()

import argparse
import runpy
import sys
from importlib import import_module
from pathlib import Path

from recsys.commands import COMMANDS
from recsys.interruption import exit_on_closed_pipe, exit_on_interrupt
from recsys.invocation import recsys_command
from recsys.places import TRAIN

DESCRIPTION = "Movie recommendation, from raw ratings to tables and a web page. Each command has a --help of its own."


@exit_on_interrupt()
@exit_on_closed_pipe()
def main() -> None:
    """Run the command that `sys.argv` names; the modules of other commands are not imported."""
    if sys.argv[1:2] == ["train"]:  # whose arguments are Hydra's
        del sys.argv[1]
        runpy.run_path(str(TRAIN), run_name="__main__")
        return
    parser = argparse.ArgumentParser(prog=recsys_command(), description=DESCRIPTION)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, sentence in COMMANDS.items():
        command = commands.add_parser(name, help=sentence, description=sentence)
        if name in sys.argv[1:2]:
            from recsys.config import one_sentence  # imports Hydra, which the list of commands does not need

            with one_sentence():  # its packages may be of an extra
                module = import_module(f"recsys.commands.{name}")
            module.add_arguments(command)
            arguments = command.parse_intermixed_args(sys.argv[2:])  # settings may follow options
            one_sentence()(module.run)(arguments)
            return
    parser.parse_args(sys.argv[1:] or ["--help"])  # prints the help, or that there is no such command


if __name__ == "__main__":
    if Path(sys.path[0]) == Path.cwd():  # python -m puts it first, so a file of a run could shadow a package
        sys.path.append(sys.path.pop(0))
    main()
