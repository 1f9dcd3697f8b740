//! What the data plane does to the kernel.
