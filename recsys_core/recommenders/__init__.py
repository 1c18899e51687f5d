"""Recommenders without a graph or a language model, behind one interface (`base.Recommender`)."""
