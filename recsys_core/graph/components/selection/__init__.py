"""Which components stand in the sum: their settings and weights, chosen on validation."""
