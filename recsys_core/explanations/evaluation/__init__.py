"""Measures of reasons: their claims, their fidelity to the model, an LLM as a judge.

Public: `metrics.evaluate_explanations`, `metrics.average_per_user`, `llm_judge.judge_reasons`,
`fidelity`.
"""
