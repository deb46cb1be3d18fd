# SPDX-License-Identifier: Apache-2.0
"""The process behind an editor's effect: ``deblur-engine serve``. What travels is written down in docs/wire.md.

Nothing heavy is imported until the socket answers: ``server`` and what it takes at once are the standard library.
"""
