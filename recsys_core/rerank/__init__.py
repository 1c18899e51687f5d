"""Reranking of the top candidates: strategies, learned fusion, the probe that decides.

Public: `config.RerankConfig`, `config.FusionConfig`, `reranker.rerank`, `fusion.fused_by_user`,
`fusion_policy`.
"""
