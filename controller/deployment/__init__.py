"""SeldonDeployment: defaults, validation, rendering and status (pure), and the shell that applies them."""
