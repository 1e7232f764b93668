"""Runs the command `nst-adain`, also as `python -m nst_adain`."""

import sys

from nst_adain.interrupts import end_at_once


def main() -> int:
    """Run `nst_adain.cli.main.main`; Ctrl+C works from the start, although loading it and torch takes seconds."""
    end_at_once("nst-adain: interrupted")
    from nst_adain.cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
