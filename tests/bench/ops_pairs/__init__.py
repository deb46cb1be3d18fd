# SPDX-License-Identifier: Apache-2.0
"""What each op is timed against, one module an op."""
