"""`nst-adain completion`: completion of commands, options and files in a shell.

The script that is printed holds all names: a program asked at each press of the key would take seconds to load PyTorch.
"""

from __future__ import annotations

import argparse

from nst_adain.cli.main import whole_parser

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain completion`."""
    parser.description = """\
Print a script that lets a shell complete commands, options and files. Put it
where the shell looks for such scripts: for bash in the file nst-adain in
~/.local/share/bash-completion/completions, for zsh in _nst-adain in a folder of
$fpath. Print it again after an update."""
    parser.epilog = "example:\n  nst-adain completion bash"
    parser.add_argument("shell", choices=["bash", "zsh", "fish", "tcsh", "powershell"], help="the shell")
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the script for a shell."""
    import shtab  # here, so that --help needs no extra

    parser, commands = whole_parser()
    for command in commands:
        for action in command._actions:
            if action.nargs != 0 and not action.choices and action.type is not int:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, arguments.shell))
