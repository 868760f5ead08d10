"""Unary gRPC over HTTP/2: a core without I/O (frames, fields, streams, windows), a server and a client of it."""
