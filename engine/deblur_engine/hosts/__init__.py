# SPDX-License-Identifier: Apache-2.0
"""Puts the OpenFX bundle and the scripts where editors look for them, takes them away again, says what is there."""

from .installation import Change, install_plugin, remove_plugin
from .state import Found, State, plugin_status

__all__ = ["Change", "Found", "State", "install_plugin", "plugin_status", "remove_plugin"]
