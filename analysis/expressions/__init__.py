"""Conditions over a measured value, in the expression language of Argo Rollouts' templates (Expr, its pure part)."""
