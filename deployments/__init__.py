"""Deployments, triggers, the CI gate, upkeep, and the service.

Commands: `python -m deployments.setup`, `deployments.ci_run`, `deployments.serve`,
`deployments.promote`, `deployments.prune`, `deployments.backup`, `deployments.forget`.
"""
