"""The kinds that we own or read, as frozen pydantic models, and their rendering to `crds/`.

Only shapes and names belong here: no decision, no I/O, no clock.
"""
