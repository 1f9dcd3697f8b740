//! System calls of the process: signals, the monotonic clock, timers.

use std::mem::zeroed;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::c_int;

static STOP: AtomicBool = AtomicBool::new(false);
static REPORT: AtomicBool = AtomicBool::new(false);

extern "C" fn note(signal: c_int) {
    if signal == libc::SIGUSR1 { &REPORT } else { &STOP }.store(true, Ordering::Relaxed);
}

/// SIGTERM and SIGINT set `stopped`, SIGUSR1 `report_wanted`; each interrupts a blocked system call.
pub fn watch_signals() {
    // SAFETY: `note` only stores to atomics, which is async-signal-safe; a zeroed sigaction has no flags.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = note as extern "C" fn(c_int) as usize;
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1] {
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

pub fn stopped() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Whether a report was asked for since this was last called.
pub fn report_wanted() -> bool {
    REPORT.swap(false, Ordering::Relaxed)
}

pub fn monotonic_ns() -> u64 {
    // SAFETY: clock_gettime writes the timespec it is given.
    let now = unsafe {
        let mut now: libc::timespec = zeroed();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now);
        now
    };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Sleeps to a point of the monotonic clock, or until a signal.
pub fn sleep_until(ns: u64) {
    let at = libc::timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 };
    // SAFETY: both pointers are valid or null, as clock_nanosleep allows.
    unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &at, std::ptr::null_mut()) };
}

/// Timers fire when they are due, not up to 50 us later (prctl(2), PR_SET_TIMERSLACK).
pub fn precise_timers() {
    // SAFETY: this prctl takes a number.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}
