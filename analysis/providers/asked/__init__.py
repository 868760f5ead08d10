"""What templates ask: a PromQL query or a web service, once, for one value."""
