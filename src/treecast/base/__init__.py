"""Values that all packages share. No I/O, no protocol, no time of its own."""
