# SPDX-License-Identifier: Apache-2.0
"""Nuke reads this at every start, in the terminal and on farms too: nothing is needed there but the effect itself."""
