"""Metadata of films from The Movie Database, cached.

Public: `client.TmdbClient`, `client.api_key`, `cache.ResponseCache`, `enrich.enrich`.
"""
