"""End-to-end personalization: profiles, graph model, reranking, explanations, evaluation.

The library knows nothing of Prefect: `tasks/` wraps it into steps, `flows/` into pipelines.
Importing it is cheap; every heavy dependency is imported by the module that needs it.
"""

__version__ = "0.2.0.dev0"
