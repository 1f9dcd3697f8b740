//! Giving up capabilities (capabilities(7)).

use std::io;

use rustix::thread::{
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities, CapabilitySet, CapabilitySets,
};

/// No program that the calling thread, or one that it starts, executes gains a capability from now on. Takes CAP_SETPCAP, which goes
/// with root: without it the set stays as whoever started the process left it.
pub fn empty_bounding_set() {
    for number in 0..u64::BITS {
        // An unknown capability or a missing CAP_SETPCAP is an error that changes nothing.
        let _ = remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number));
    }
}

/// Gives up all capabilities of the calling thread, also those that a program it executes could gain.
pub fn drop_all() -> io::Result<()> {
    empty_bounding_set();
    // Fails without effect on kernels without ambient capabilities.
    let _ = clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}
