"""The served model as a product: its folder, its manifest, its scores, and which one serves.

Public: `loading.open_model`, `model.ServedModel`, `pointer.promote`, `pointer.roll_back`.
"""
