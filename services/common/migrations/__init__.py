"""Migrations of the schemas `tenancy` and `audit`, and what runs the migrations of every component.

Forward-only, and safe while the previous release runs. `coffer migrate` calls `runner.migrate`.
"""
