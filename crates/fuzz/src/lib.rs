//! Each parser of bytes from outside, as a function that takes any bytes: it must not panic, and what it says must hold.
//!
//! `corpus/` keeps inputs by parser: valid ones by name, and what coverage-guided runs have found by hash. `make test` replays
//! them (`tests/corpus.rs`); `make soak` lets libFuzzer go on from them (`guided/`), and what that finds is added.

mod behind_a_seal;
mod commands;
mod frames;
pub mod handshakes;
pub mod input;
pub mod nodes;
pub mod valid_commands;
mod valid_handshakes;
pub mod valid_inputs;

pub use commands::carry_out;
use input::Input;

/// Feeds one input.
pub type Parser = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const PARSERS: &[(&str, Parser)] = &[
    ("frame", frames::frame),
    ("super_frame", frames::super_frame),
    ("datagram", behind_a_seal::datagram),
    ("session_body", behind_a_seal::session_body),
    ("tree_body", behind_a_seal::tree_body),
    ("sender_key", behind_a_seal::sender_key),
    ("handshake", handshakes::handshake),
    ("link_secret", handshakes::link_secret),
    ("commands", commands::commands),
];

/// The parser of this name.
pub fn parser(name: &str) -> Option<Parser> {
    PARSERS.iter().find(|(known, _)| *known == name).map(|(_, parser)| *parser)
}

/// Valid inputs that are always the same, by the names of their parsers.
pub fn valid() -> Vec<(&'static str, Vec<Input>)> {
    vec![
        ("commands", valid_commands::commands()),
        ("datagram", valid_inputs::datagrams()),
        ("handshake", valid_handshakes::handshakes()),
        ("sender_key", valid_inputs::sender_keys()),
        ("session_body", valid_inputs::session_bodies()),
        ("tree_body", valid_inputs::tree_bodies()),
    ]
}
