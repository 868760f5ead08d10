"""Analysis runs: metrics that are measured again and again within limits. Pure; it is told the time and the values."""
