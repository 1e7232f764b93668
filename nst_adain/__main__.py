"""The command `nst-adain`, also as `python -m nst_adain`."""

import sys

from nst_adain.interrupts import end_at_once


def main() -> int:
    """`nst_adain.cli.main.main`, which can be interrupted from the first moment: loading it and torch takes seconds."""
    end_at_once("nst-adain: interrupted")
    from nst_adain.cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
