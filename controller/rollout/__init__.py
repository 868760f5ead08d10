"""SeldonRollout: which revision gets how much traffic, decided purely, and the shell that obeys."""
