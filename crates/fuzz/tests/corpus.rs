//! The kept corpus, replayed: each input by its parser, and cut off at each length.

use std::fs;
use std::path::{Path, PathBuf};

use treecast_core::reason::Reason;
use treecast_fuzz::nodes::Nodes;
use treecast_fuzz::valid_inputs::{refusals, session_bodies, tree_bodies};
use treecast_fuzz::{refusal, PARSERS};

/// An input that is kept is short: what matters is in its headers.
const MAX_INPUT_LEN: usize = 4096;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn inputs(parser: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(corpus().join(parser)).unwrap_or_else(|error| panic!("{parser}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn every_parser_takes_what_is_kept_for_it_whole_and_cut_off() {
    for (name, parser) in PARSERS {
        let inputs = inputs(name);
        assert!(!inputs.is_empty(), "{name} has a corpus");
        for (path, bytes) in inputs {
            assert!(bytes.len() <= MAX_INPUT_LEN, "{path:?}");
            println!("{path:?}"); // shown where it panics
            parser(&bytes);
            (0..bytes.len()).step_by(bytes.len() / 16 + 1).for_each(|length| parser(&bytes[..length]));
        }
    }
}

#[test]
fn every_corpus_has_a_parser() {
    for entry in fs::read_dir(corpus()).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(PARSERS.iter().any(|(known, _)| name == *known), "{name:?}");
    }
}

#[test]
fn valid_inputs_are_kept_as_the_protocol_has_them_today() {
    for (parser, inputs) in
        [("session_body", session_bodies()), ("tree_body", tree_bodies()), ("handshake", refusals())]
    {
        for (name, bytes) in inputs {
            let kept = fs::read(corpus().join(parser).join(&name)).unwrap_or_default();
            assert!(kept == bytes, "{parser}/{name}: write it anew by examples/write_corpus.rs");
        }
    }
}

/// The kinds of a session's datagrams that the core's sources name.
fn kinds() -> Vec<(String, u8)> {
    let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src");
    let sources: Vec<String> =
        fs::read_dir(core).unwrap().filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok()).collect();
    let lines = sources.iter().flat_map(|source| source.lines());
    let kinds = lines.filter_map(|line| line.strip_prefix("pub const KIND_")?.strip_suffix(';')?.split_once(": u8 = "));
    kinds.map(|(name, number)| (name.to_string(), number.parse().unwrap())).collect()
}

#[test]
fn the_parser_of_each_kind_takes_an_input_that_is_kept() {
    let kinds = kinds();
    assert!(kinds.len() >= 15);
    for (name, kind) in kinds {
        // An answer that nobody waits for was read: the value in it is an unknown one. So was a request for another root.
        let is_taken = |bytes: &[u8]| match Nodes::joined().receive(kind, bytes, 1_000_000_000).unwrap().0 {
            Ok(_) => true,
            Err(Reason::ProbeUnexpected | Reason::PathResponseUnexpected | Reason::AnchorRequestUnexpected) => true,
            Err(_) => false,
        };
        let kept = inputs("session_body");
        let of_kind = kept.iter().filter_map(|(_, bytes)| bytes.strip_prefix(&[kind]));
        assert!(of_kind.into_iter().any(is_taken), "{name}");
    }
}

#[test]
fn the_initiator_reads_the_refusal_that_is_kept() {
    assert!(refusal(&fs::read(corpus().join("handshake/refusal")).unwrap()).is_ok());
}
