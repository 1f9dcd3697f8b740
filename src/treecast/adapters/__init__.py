"""The only Python that touches the operating system: the data plane's binding, netlink, clocks, files."""
