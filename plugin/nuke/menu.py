# SPDX-License-Identifier: Apache-2.0
"""Nuke reads this when its window opens: the menu entry, and the controls on every effect that a user makes."""

import deblur_engine_nuke
import nuke

nuke.menu("Nodes").addMenu("Deblur").addCommand("Deblur clip", "deblur_engine_nuke.create()")
for name in deblur_engine_nuke.CLASSES:
    nuke.addOnUserCreate(deblur_engine_nuke.equip_created, nodeClass=name)
