"""How good are ranked lists: metrics, protocols, intervals and tests between methods."""
