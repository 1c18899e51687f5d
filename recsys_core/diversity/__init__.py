"""Diversity and calibration of served lists: a last step that works for every method.

Public: `config.DiversityConfig`, `diversify.diversified`, `diversify.trade_off`.
"""
