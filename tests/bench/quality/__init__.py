# SPDX-License-Identifier: Apache-2.0
"""The measuring stand: every claim about quality comes from here. ``python tests/bench/quality --help``."""
