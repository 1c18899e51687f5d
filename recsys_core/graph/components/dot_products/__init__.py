"""Components that are dot products: their columns stand beside the network's in one vector.

Public: `base.NETWORK`, `fitter.Fitter`, `ease.EaseComponent`, `residual_ease.ResidualEase`,
`temporal_popularity.TemporalPopularity`, `lightgcn.LightGcn`.
"""
