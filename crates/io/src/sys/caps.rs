//! Giving up capabilities (capabilities(7)).

use std::io;

use super::check;

const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives up all capabilities of the calling thread, also those that a program it executes could gain.
pub fn drop_all() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: plain integers; an unknown capability or a missing CAP_SETPCAP is an error that changes nothing.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: plain integers; fails without effect on kernels without ambient capabilities.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [Data::default(), Data::default()];
    // SAFETY: version 3 reads one header and two data structures, which live until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    check(result as libc::c_int)?;
    Ok(())
}
