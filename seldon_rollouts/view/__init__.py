"""View models: what the dashboard, its API and the command line show of a rollout. Pure; nobody decides here."""
