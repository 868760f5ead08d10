"""The typed checks beside failed requests and latency: pure, each an e-process with its own sentence."""
