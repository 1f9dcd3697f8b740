//! A valid input for each command, and others where fields have several forms, as Python writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use treecast_core::datagram::BROADCAST_STREAM;
use treecast_io::commands::COMMANDS;
use treecast_io::msgpack::pack;

use crate::handshakes::signing_key;
use crate::input::{frame, Input};
use crate::nodes::{
    EPOCH, GROUP_STREAM, KEY_ID, MEMBER, NEXT_SESSION, NODE, OFFERED_STATE, OFFERED_STREAM, OTHER_ROOT,
};
use crate::valid_handshakes::init;

const V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 7700);
const LINK_LOCAL: SocketAddr =
    SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), 7700, 0, 3));
const GROUP: [u8; 4] = [239, 1, 1, 1];
const GROUP_V6: [u8; 16] = [0xff, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const SOURCE: [u8; 4] = [10, 77, 0, 1];
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// A node with which there is no session.
const ELSEWHERE: u32 = 5;

/// MessagePack as Python writes it: each value in its shortest form.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn array(&mut self, length: usize) -> &mut Self {
        match length {
            0..=15 => self.0.push(0x90 | length as u8),
            _ => self.0.extend([0xdc, (length >> 8) as u8, length as u8]),
        }
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        assert!(text.len() < 32, "a name is short");
        self.0.push(0xa0 | text.len() as u8);
        self.0.extend(text.as_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let (first, length) = if bytes.len() < 256 { (0xc4, 1) } else { (0xc5, 2) };
        self.0.push(first);
        self.0.extend(&(bytes.len() as u64).to_be_bytes()[8 - length..]);
        self.0.extend(bytes);
        self
    }

    fn number(&mut self, value: impl Into<u64>) -> &mut Self {
        let value = value.into();
        let (first, length) = match value {
            0..=0x7f => (None, 1),
            0x80..=0xff => (Some(0xcc), 1),
            0x100..=0xffff => (Some(0xcd), 2),
            0x1_0000..=0xffff_ffff => (Some(0xce), 4),
            _ => (Some(0xcf), 8),
        };
        self.0.extend(first);
        self.0.extend(&value.to_be_bytes()[8 - length..]);
        self
    }

    fn numbers(&mut self, values: &[u32]) -> &mut Self {
        self.array(values.len());
        values.iter().fold(self, |out, value| out.number(*value))
    }

    fn flag(&mut self, on: bool) -> &mut Self {
        self.0.push(if on { 0xc3 } else { 0xc2 });
        self
    }

    fn nil(&mut self) -> &mut Self {
        self.0.push(0xc0);
        self
    }

    fn address(&mut self, address: &SocketAddr) -> &mut Self {
        let (octets, length) = pack(address);
        self.array(2).bytes(&octets[..length]).number(address.port())
    }

    fn mac(&mut self) -> &mut Self {
        self.array(1).bytes(&MAC)
    }

    fn prefix(&mut self, first: &[u8], length: u8) -> &mut Self {
        self.array(2).bytes(first).number(length)
    }
}

/// Writes the fields of a command.
type Write = fn(&mut Fields) -> &mut Fields;

/// The command's name and, behind an underline, what is special; then the fields.
const SENDING: &[(&str, Write)] = &[
    ("SendDatagram", |out| out.number(0_u32).address(&V4).bytes(b"data")),
    ("SendDatagram_link_local", |out| out.number(0_u32).address(&LINK_LOCAL).bytes(b"data")),
    ("SendControl", |out| out.number(MEMBER).bytes(b"\x93\x01\x02\x03")),
    ("Inject", |out| out.number(0_u32).bytes(&frame())),
    ("FloodFrame", |out| out.number(0_u32).bytes(&frame())),
];

const HANDSHAKES: &[(&str, Write)] = &[
    ("SendDatagram_of_handshake", |out| out.number(0_u32).address(&V4).bytes(&init())),
    ("SendHandshake", |out| out.number(MEMBER).bytes(&init())),
    ("SendForwarded", |out| out.number(MEMBER).number(OTHER_ROOT).bytes(&init())),
];

const PORTS: &[(&str, Write)] = &[
    ("SetPortForwarding", |out| out.number(0_u32).flag(false)),
    ("SetStormLimits", |out| out.number(0_u32).number(100_u32).number(200_u32).number(300_u32)),
    ("SetStormLimits_none", |out| out.number(0_u32).nil().nil().nil()),
    ("SetKeepLocal", |out| out.number(0_u32).array(2).flag(true).flag(false)),
    ("SetUnknownUnicastFlood", |out| out.number(0_u32).flag(true)),
    ("SetPortSelective", |out| out.number(0_u32).flag(true)),
    ("SetPortGroup", |out| {
        out.number(0_u32).number(0_u32).bytes(&GROUP).array(2).text("exclude").array(1).bytes(&SOURCE)
    }),
    ("SetPortGroup_end", |out| out.number(0_u32).number(4094_u32).bytes(&GROUP_V6).array(2).text("include").array(0)),
];

const PEERS: &[(&str, Write)] = &[
    ("InstallSession", |out| {
        let out = out.number(0_u32).number(NEXT_SESSION).number(MEMBER).number(0_u32);
        out.address(&V4).number(2_u32).flag(false)
    }),
    ("InstallSession_without_path", |out| {
        out.number(0_u32).number(NEXT_SESSION).number(ELSEWHERE).number(0_u32).nil().number(1_u32).flag(true)
    }),
    ("RemoveSession", |out| out.number(10 * MEMBER + 1)),
    ("ForgetPeer", |out| out.number(MEMBER)),
    ("SetNodeRoute", |out| out.number(OTHER_ROOT).number(MEMBER)),
    ("RemoveNodeRoute", |out| out.number(OTHER_ROOT)),
    ("SetPath", |out| out.number(MEMBER).number(0_u32).address(&V4)),
    ("SetPath_link_local", |out| out.number(MEMBER).number(0_u32).address(&LINK_LOCAL)),
    ("RemovePath", |out| out.number(MEMBER)),
    ("ChallengePath", |out| out.number(MEMBER).number(0_u32).address(&V4).number(0x0102_0304_0506_0708_u64)),
    ("ProbePeer", |out| out.number(MEMBER)),
    ("SetFingerprint", |out| out.bytes(&[7; 16])),
    ("SetPeerUnderlayMtu", |out| out.number(MEMBER).number(1492_u32)),
];

const HOSTS: &[(&str, Write)] = &[
    ("CertifyNode", |out| {
        let out = out.number(MEMBER).flag(false).flag(true).array(1).bytes(&SOURCE);
        out.bytes(&signing_key().public()).nil()
    }),
    ("CertifyNode_that_may_send", |out| {
        let out = out.number(ELSEWHERE).flag(true).flag(false).array(2).bytes(&SOURCE).bytes(&GROUP_V6);
        out.bytes(&signing_key().public()).array(2).prefix(&[239, 0, 0, 0], 8).prefix(&GROUP_V6, 128)
    }),
    ("UncertifyNode", |out| out.number(MEMBER)),
    ("SetAuthenticatedGroups", |out| out.array(2).prefix(&[239, 1, 0, 0], 16).prefix(&GROUP_V6, 16)),
    ("SetBridgeMac", |out| out.mac().array(1).bytes(&SOURCE)),
    ("SetBridgeMac_none", |out| out.nil().array(0)),
    ("SetHost", |out| out.number(0_u32).mac().number(MEMBER)),
    ("RemoveHost", |out| out.number(0_u32).mac()),
];

const ROOT_TREES: &[(&str, Write)] = &[
    ("CreateTree", |out| out.number(300_u32).number(EPOCH).number(KEY_ID)),
    ("RemoveTree", |out| out.number(GROUP_STREAM)),
    ("SetTreeMembers", |out| {
        out.number(GROUP_STREAM).numbers(&[MEMBER, OTHER_ROOT]).numbers(&[ELSEWHERE]).numbers(&[70, 71, 72])
    }),
    ("SetTreeMembers_of_broadcast", |out| {
        out.number(BROADCAST_STREAM).numbers(&[OTHER_ROOT]).numbers(&[]).numbers(&[])
    }),
    ("MakeKey", |out| out.number(GROUP_STREAM).number(KEY_ID + 2).number(EPOCH + 2)),
    ("UseKey", |out| out.number(GROUP_STREAM).number(KEY_ID + 1)),
    ("AnnounceKey", |out| out.number(GROUP_STREAM)),
    ("OfferKey", |out| {
        out.number(GROUP_STREAM)
            .number(KEY_ID)
            .number(MEMBER)
            .bytes(b"\x93\x00\xc0\xc0")
            .number(1_u32)
            .number(2_750_u32)
    }),
    ("OfferTree", |out| {
        let out = out.number(GROUP_STREAM).number(EPOCH).number(MEMBER).number(NODE).number(OTHER_ROOT);
        out.numbers(&[70, 71]).numbers(&[72]).flag(false)
    }),
    ("OfferTree_of_two_parents", |out| {
        let out = out.number(GROUP_STREAM).number(EPOCH).number(MEMBER).number(NODE).number(OTHER_ROOT);
        out.numbers(&[70, 71]).numbers(&[]).flag(true)
    }),
    ("SetRoute", |out| out.number(0_u32).bytes(&GROUP).bytes(&SOURCE).number(GROUP_STREAM)),
    ("SetRoute_of_any_source", |out| out.number(0_u32).bytes(&GROUP).nil().number(GROUP_STREAM)),
    ("SetPrefixRoute", |out| out.number(0_u32).prefix(&[239, 0, 0, 0], 8).number(GROUP_STREAM)),
    ("RemovePrefixRoute", |out| out.number(0_u32).prefix(&[239, 0, 0, 0], 8)),
    ("RemoveRoute", |out| out.number(0_u32).bytes(&GROUP).nil()),
];

const DOWNSTREAM_TREES: &[(&str, Write)] = &[
    ("AcceptKey", |out| {
        let out = out.number(MEMBER).number(OFFERED_STREAM).number(KEY_ID);
        out.array(3).number(0_u32).prefix(&GROUP, 32).bytes(&SOURCE).bytes(b"\x92\x01\x02")
    }),
    ("AcceptKey_of_any_source", |out| {
        let out = out.number(MEMBER).number(OFFERED_STREAM).number(KEY_ID);
        out.array(3).number(0_u32).prefix(&[239, 0, 0, 0], 8).nil().bytes(b"")
    }),
    ("AcceptKey_of_any_flow", |out| {
        out.number(MEMBER).number(OFFERED_STREAM).number(KEY_ID).nil().bytes(b"\x92\x01\x02")
    }),
    ("RefuseKey", |out| out.number(MEMBER).number(OFFERED_STREAM).number(KEY_ID)),
    ("AcceptTree", |out| {
        out.number(MEMBER).number(OFFERED_STREAM).number(EPOCH).number(OFFERED_STATE).bytes(b"\x92\x01\x02")
    }),
    ("RefuseTree", |out| out.number(MEMBER).number(OFFERED_STREAM).number(EPOCH).number(OFFERED_STATE)),
    ("LeaveStream", |out| out.number(MEMBER).number(GROUP_STREAM)),
    ("ConfirmStream", |out| out.number(MEMBER).number(GROUP_STREAM).number(2_750_u32).flag(false)),
    ("ConfirmStream_again", |out| out.number(MEMBER).number(GROUP_STREAM).number(0_u32).flag(true)),
    ("EndRelaying", |out| out.number(OTHER_ROOT).number(GROUP_STREAM)),
];

/// Each command alone.
pub fn single_commands() -> Vec<Input> {
    let all = [SENDING, HANDSHAKES, PORTS, PEERS, HOSTS, ROOT_TREES, DOWNSTREAM_TREES].concat();
    all.into_iter().map(|(name, write)| (name.to_string(), array_of(&[(name, write)]))).collect()
}

/// Each command alone, and many in one turn.
pub fn commands() -> Vec<Input> {
    let mut all = [PORTS, HOSTS, ROOT_TREES, DOWNSTREAM_TREES, PEERS, SENDING].concat();
    let forth = array_of(&all);
    all.reverse();
    let mut inputs = single_commands();
    inputs.extend([("turn".into(), forth), ("turn_reversed".into(), array_of(&all))]);
    inputs
}

fn array_of(commands: &[(&str, Write)]) -> Vec<u8> {
    let mut out = Fields::default();
    out.array(commands.len());
    for (name, write) in commands {
        let name = name.split('_').next().unwrap_or_default();
        let (_, fields) = COMMANDS.iter().find(|(known, _)| *known == name).expect("a command of this name");
        write(out.array(1 + fields.len()).text(name));
    }
    out.0
}
