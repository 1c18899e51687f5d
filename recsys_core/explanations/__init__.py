"""Reasons: written by rules or a language model, held to the causes of a recommendation.

Public: `config.ExplanationConfig`, `explainer.explain`, `prompt.EXPLANATION`.
"""
