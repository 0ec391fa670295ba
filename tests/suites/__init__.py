"""Suites of others, run against the gateway by hand and in CI: each module says how."""
