//! The system calls, one module per concern, by rustix where that knows them. All `unsafe` of the project is here; each
//! block says why it holds.

#![deny(clippy::undocumented_unsafe_blocks)]

pub mod address;
pub mod batch;
pub mod caps;
pub mod packet;
pub mod poll;
pub mod seccomp;
pub mod secrecy;
pub mod tap;
pub mod thread;
pub mod udp;

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

/// A system call's result as an `io::Result`.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Takes ownership of a descriptor that a system call has just returned.
fn own(result: libc::c_int) -> io::Result<OwnedFd> {
    let fd = check(result)?;
    // SAFETY: `fd` is an open descriptor that this process has just been given; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The raw number, for one call while `fd` is borrowed.
fn raw(fd: BorrowedFd<'_>) -> libc::c_int {
    std::os::fd::AsRawFd::as_raw_fd(&fd)
}
