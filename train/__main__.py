"""`python -m train` is `train.cli`, which can be interrupted from the first moment: loading it takes seconds."""

import sys

from nst_adain.interrupts import end_at_once

if __name__ == "__main__":
    end_at_once("train: interrupted")
    from train.cli import main

    sys.exit(main())
