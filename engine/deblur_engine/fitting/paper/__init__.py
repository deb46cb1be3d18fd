# SPDX-License-Identifier: Apache-2.0
"""The recipe of the paper that the product goes back to: Ren, Qian, Chen, arXiv 2012.05228 (2020)."""
