"""LightGCN and NGCF: graph convolution on learned id vectors."""
