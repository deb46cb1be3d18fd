# SPDX-License-Identifier: Apache-2.0
"""``posix`` or ``windows``, whichever this system is. Both have the same names."""

import sys

if sys.platform == "win32":
    from .windows import *  # noqa: F403
    from .windows import __all__ as __all__
else:
    from .posix import *  # noqa: F403
    from .posix import __all__ as __all__
