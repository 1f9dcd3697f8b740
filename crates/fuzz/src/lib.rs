//! Each parser of bytes from outside, as a function that takes any bytes: it must not panic, and what it says must hold.
//!
//! `corpus/` keeps inputs by parser: valid ones by name, and what coverage-guided runs have found by hash. `make test` replays
//! them (`tests/corpus.rs`); `make soak` lets libFuzzer go on from them (`guided/`), and what that finds is added.

mod behind_a_seal;
mod frames;
mod handshakes;
pub mod nodes;
pub mod valid_inputs;

pub use handshakes::refusal;

use treecast_io::commands::read_all;

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
    ("commands", commands),
];

/// The parser of this name.
pub fn parser(name: &str) -> Option<Parser> {
    PARSERS.iter().find(|(known, _)| *known == name).map(|(_, parser)| *parser)
}

fn commands(bytes: &[u8]) {
    if let Ok(commands) = read_all(bytes) {
        let texts: Vec<String> = commands.flatten().map(|command| format!("{command:?}")).collect();
        assert!(texts.len() <= bytes.len(), "each takes a byte at least");
    }
}
