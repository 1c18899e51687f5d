"""One client for every prompt: providers, requests, limits, budget, cache of answers.

Public: `config.LLMConfig`, `factory.open_provider`.
"""
