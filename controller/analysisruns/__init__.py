"""AnalysisRun: metrics that people define, measured within limits. What is decided is pure; asking is the shell's."""
