#![forbid(unsafe_code)]
//! Decisions of the data plane.
