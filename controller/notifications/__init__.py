"""Notifications: what happened to rollouts, told to people elsewhere, by a queue that never slows a reconcile."""
