"""`python -m nst_adain` is the command `nst-adain`."""

import sys

from nst_adain.cli import main

sys.exit(main())
