//! The kept corpus, replayed: each input by its parser, and cut off at each length.

use std::fs;
use std::path::{Path, PathBuf};

use treecast_core::arrival::Recent;
use treecast_core::handshake::Handshake;
use treecast_core::mac::HANDSHAKE_LEN;
use treecast_core::reason::Reason;
use treecast_fuzz::handshakes::{answer, finish, initiator, refusal, MAC, NETWORK};
use treecast_fuzz::nodes::{endpoint, Nodes, MEMBER};
use treecast_fuzz::valid_commands::{commands, single_commands};
use treecast_fuzz::{carry_out, valid, PARSERS};
use treecast_io::commands::{read_all, COMMANDS};

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
    for (parser, inputs) in valid() {
        for (name, bytes) in inputs {
            let kept = fs::read(corpus().join(parser).join(&name)).unwrap_or_default();
            assert!(kept == bytes, "{parser}/{name}: write it anew by examples/write_corpus.rs");
        }
    }
}

#[test]
fn of_the_inputs_that_are_written_none_of_an_older_layout_is_kept() {
    for (parser, written) in valid() {
        for (path, _) in inputs(parser) {
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_hash = name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_hash || written.iter().any(|(known, _)| known == name), "{path:?}: nobody writes it any more");
        }
    }
}

#[test]
fn every_command_has_an_input_that_is_kept_and_is_carried_out() {
    for (name, _) in COMMANDS {
        let bytes = fs::read(corpus().join("commands").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let [command] = &read_all(&bytes).unwrap().collect::<Vec<_>>()[..] else { panic!("{name}: one command") };
        let text = format!("{:?}", command.as_ref().unwrap_or_else(|| panic!("{name}: it is not read")));
        assert_eq!(text.split(' ').next(), Some(*name));
    }
    for (name, bytes) in single_commands() {
        assert_eq!(carry_out(&bytes), Ok(vec![]), "{name}");
    }
    for (name, bytes) in commands() {
        assert!(read_all(&bytes).unwrap().all(|command| command.is_some()), "{name}");
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

/// A handshake datagram of this name.
fn kept_handshake(name: &str) -> Vec<u8> {
    fs::read(corpus().join("handshake").join(name)).unwrap()
}

#[test]
fn kept_handshakes_are_as_long_as_they_must_be_and_have_the_mac_of_the_network() {
    for name in ["init", "response", "final", "refusal", "cookie", "init_with_cookie"] {
        let datagram = kept_handshake(name);
        assert!(MAC.check(&datagram).is_ok(), "{name}: {:?}", MAC.check(&datagram));
        assert_eq!(fs::read(corpus().join("datagram").join(name)).unwrap(), datagram, "{name}");
    }
    for name in ["init", "init_with_cookie", "response", "final"] {
        assert_eq!(kept_handshake(name).len(), HANDSHAKE_LEN, "{name}");
    }
}

#[test]
fn each_side_of_a_handshake_reads_what_is_kept_of_the_other() {
    for name in ["init", "init_with_cookie"] {
        assert!(Handshake::respond(&[3; 32], &NETWORK, 2, &kept_handshake(name), [6; 32]).is_ok(), "{name}");
    }
    assert_eq!(initiator().unwrap().with_cookie(&kept_handshake("cookie")), Ok(kept_handshake("init_with_cookie")));
    assert_eq!(answer(&kept_handshake("response")), Ok(b"payload".to_vec()));
    assert_eq!(finish(&kept_handshake("final")), Ok(b"payload".to_vec()));
    assert!(refusal(&kept_handshake("refusal")).is_ok());
}

#[test]
fn kept_datagrams_of_strangers_get_as_far_as_to_the_keys_that_they_lack() {
    let (nodes, now_ns, mut recent) = (Nodes::joined(), 1_000_000_000, Recent::default());
    let kept = |name: &str| fs::read(corpus().join("datagram").join(name)).unwrap();
    let of_session = nodes.node.receive_session(&mut kept("session"), endpoint(MEMBER), now_ns, &mut recent);
    assert_eq!(of_session.unwrap_err(), Reason::SessionAuth);
    let tree = kept("tree");
    let of_tree = nodes.node.receive_tree(&tree, endpoint(MEMBER).address, now_ns, &mut recent);
    assert_eq!(of_tree.unwrap_err(), Reason::TreeTag);
    let handshake = |name| nodes.node.receive_handshake(&kept(name), 0, endpoint(66).address, now_ns);
    assert_eq!([handshake("init"), handshake("init_with_cookie")], [Ok(None), Ok(None)]);
    assert_eq!(handshake("response"), Err(Reason::HandshakeUnknown));
}
