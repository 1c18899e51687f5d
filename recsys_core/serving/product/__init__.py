"""The served model as a product: its folder, its manifest, its scores, and which one serves."""
