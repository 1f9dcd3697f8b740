#![forbid(unsafe_code)]
//! Decisions of the data plane: what a frame or a datagram is, where it goes, what may be believed. No syscalls.
//!
//! `docs/protocol.md` is the wire format. Read [`plane`] first: it holds the tables and joins the parts.

pub mod offload;
pub mod reason;
