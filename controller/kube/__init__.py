"""The only room that talks to the Kubernetes API: raw JSON, server-side apply, our own errors.

It knows resources and objects, and nothing of rollouts or graphs.
"""
