"""Components that are dot products: their columns stand beside the network's in one vector."""
