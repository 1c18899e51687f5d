"""The graph attention network over users and items, with its score components.

Public: `config.GraphConfig`, `interaction_graph.InteractionGraph`, `recommender` (the interface of
`recommenders`).
"""
