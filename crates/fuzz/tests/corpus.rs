//! The kept corpus, replayed: each input by its parser, and cut off at each length.

use std::fs;
use std::path::{Path, PathBuf};

use treecast_fuzz::PARSERS;

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
