"""The vocabulary: values every room shares. No I/O, no protocol, no time of its own."""
