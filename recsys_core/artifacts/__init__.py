"""Artifacts: what one step hands to the next, complete or absent, never half."""
