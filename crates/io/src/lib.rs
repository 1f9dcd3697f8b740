//! The data plane's side of the kernel: frames between a TAP and UDP sockets, by worker threads, in batches.
//!
//! All system calls are in [`sys`]. Frames go to hosts by the [`local_ports`] (TAP, packet ports), datagrams to nodes by the [`underlay`]
//! (sockets, limits). The worker ([`worker`]) reads a batch, has `treecast-core` classify each frame or datagram, seals what is to be
//! sent ([`ingress`], [`sealing`], [`outbox`]) and sends it at the end of the batch: it takes what is there and never waits for more.
//! Python's thread uses [`forwarder`], by the records of [`commands`] and [`event_records`].

pub mod apply;
pub mod commands;
pub mod configuration;
pub mod delivering;
pub mod dispatch;
pub mod event_records;
mod flooding;
pub mod forwarder;
pub mod ingress;
pub mod local_ports;
pub mod msgpack;
pub mod outbox;
pub mod packet_port;
mod packet_reader;
pub mod probe_turn;
pub mod reassembly;
pub mod received_message;
pub mod relay;
mod repair;
pub mod sealing;
pub mod seals;
pub mod socket_group;
#[allow(unsafe_code)]
pub mod sys;
mod tree_keys;
pub mod underlay;
pub mod waiting;
pub mod worker;
pub mod worker_liveness;
mod wrapping;
