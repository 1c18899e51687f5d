"""What calls cost: budget, ledger, prices, guesses of tokens.

Public: `budget.Budget`, `budget.Spending`, `ledger.Call`, `prices.Price`, `tokens.guess`.
"""
