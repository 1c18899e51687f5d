"""LightGCN and NGCF: graph convolution on learned id vectors.

Public: `config.LightGcnConfig`, `training.train`.
"""
