"""Additive score components: their columns or maps are added to the network's scores.

Public: `item_model.ItemToItemModel`, `histories.Histories`,
`item_to_item.component_table.COMPONENTS`, `dot_products.base`,
`selection.search.search_components`.
"""
