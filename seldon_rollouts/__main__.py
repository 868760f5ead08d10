"""`python -m seldon_rollouts`: the command line."""

from seldon_rollouts.cli import main

main()
