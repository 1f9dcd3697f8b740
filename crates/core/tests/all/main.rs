//! The core's tests, in one binary.

mod anchors;
mod batches;
mod classify;
mod codecs;
mod common;
mod cookies;
mod destinations;
mod flows;
mod forward;
mod fragments;
mod frame_sources;
mod fuzz;
mod guards;
mod handshakes;
mod headers;
mod key_steps;
mod packet_ports;
mod ports;
mod recursive_encapsulation;
mod replay;
mod seal;
mod site;
mod storms;
mod tables;
mod trees;
mod vectors;
