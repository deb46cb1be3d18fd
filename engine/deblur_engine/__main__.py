# SPDX-License-Identifier: Apache-2.0
"""``python -m deblur_engine``: the command line where the console script is not on the path."""

import sys

from .cli import main

sys.exit(main())
