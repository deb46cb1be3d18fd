# SPDX-License-Identifier: Apache-2.0
"""Fitting a network to one clip: synthetic pairs, the network, the loop. The only part that needs torch to run."""

from .fit_clip import FitResult, fit
from .meta_train import MetaResult, meta_train

__all__ = ["FitResult", "MetaResult", "fit", "meta_train"]
