"""The reactor: balances, kinetics, integration."""
