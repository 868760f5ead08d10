"""The dashboard: pure view models, and a FastAPI application that streams them to a page."""
