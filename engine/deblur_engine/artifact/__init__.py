# SPDX-License-Identifier: Apache-2.0
"""The one-file result of a fit, ``CLIP.deblur.onnx``: what it holds, how it is written, how it is read safely.

Reading needs no torch; writing (``deblur_engine.artifact.export``) does, and is imported only by who writes.
"""

from .load import Artifact, load_model
from .schema import SCHEMA_VERSION, ModelMetadata, default_model_path

__all__ = ["SCHEMA_VERSION", "Artifact", "ModelMetadata", "default_model_path", "load_model"]
