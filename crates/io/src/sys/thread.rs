//! System calls of a thread: its clock, its scheduling, randomness.

use std::io;

use rustix::io::Errno;
use rustix::rand::{getrandom, GetRandomFlags};
use rustix::time::{clock_gettime, ClockId};

/// CLOCK_MONOTONIC in nanoseconds.
pub fn monotonic_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// sched_setattr(2), which rustix has not: its first version, which every kernel takes.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Scheduling {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

const SCHEDULING_LEN: libc::c_uint = std::mem::size_of::<Scheduling>() as libc::c_uint;

/// Gives the calling thread time in slices of so many nanoseconds; 0: of the system's usual length. A thread that wakes may
/// interrupt one whose slices are longer than its own (EEVDF, from Linux 6.12 on; before, slices are all alike and this
/// changes nothing). Threads inherit it. Each still gets its fair share.
pub fn set_slice(length_ns: u64) -> io::Result<()> {
    let mut now = Scheduling::default();
    // SAFETY: pid 0 is the calling thread; the kernel writes at most SCHEDULING_LEN bytes into `now`.
    check_long(unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut now, SCHEDULING_LEN, 0) })?;
    if now.policy != libc::SCHED_OTHER as u32 {
        return Ok(()); // the operator has chosen
    }
    (now.flags, now.runtime) = (0, length_ns);
    // SAFETY: pid 0 is the calling thread; the kernel reads `now`, whose `size` it has written itself.
    check_long(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const now, 0) })
}

fn check_long(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Fills `out` with random bytes.
pub fn random(out: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < out.len() {
        match getrandom(&mut out[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
