"""The TOP-map store: arrays, ledger, check, and what it holds in words."""
