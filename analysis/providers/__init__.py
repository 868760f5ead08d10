"""Where counters come from. One file for each source; an unknown name is an error."""
