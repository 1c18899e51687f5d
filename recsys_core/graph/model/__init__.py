"""The network: attention layers, message passing by torch or DGL, initial vectors.

Public: `gat.GAT`, `attention_layer.AttentionLayer`, `message_passing.bind`,
`svd_init.svd_vectors`.
"""
