//! A process that holds keys keeps them: prctl(2), setrlimit(2), credentials(7).

use std::io;

use super::caps::empty_bounding_set;
use rustix::process::{set_dumpable_behavior, setrlimit, DumpableBehavior, Gid, Resource, Rlimit, Uid};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// This process leaves no core file from now on, other processes of its account read neither its memory nor its
/// descriptors, and no program that the calling thread, or one that it starts, executes gains privileges.
pub fn keep_secrets() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(set_no_new_privs(true)?)
}

/// The calling thread is the account's from now on, and what it starts. For threads one by one: libc's calls end the
/// process where one of its threads, which has given up its capabilities before, cannot follow. The bounding set goes first:
/// who is no longer root may not change it.
pub fn take_account(uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    empty_bounding_set();
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    Ok(set_thread_res_uid(uid, uid, uid)?)
}
