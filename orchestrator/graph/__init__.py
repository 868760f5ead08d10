"""Pure: the graph as data, checked once, and each node's choice as a function of (node, payload, draw)."""
