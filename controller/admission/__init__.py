"""Admission webhooks: what a person writes is completed and judged before it is stored.

The rules are those of the rooms, which apply them again in each pass: without webhooks nothing is judged less. Here are
only the questions and answers of the API server, the certificate, and the server itself.
"""
