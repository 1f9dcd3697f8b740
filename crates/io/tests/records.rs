//! Commands from Python's bytes, events to them: what is whole is read, whatever else there is costs itself only.

use std::net::SocketAddr;

use treecast_core::datagram::TreeName;
use treecast_core::events::Event;
use treecast_core::source_filter::SourceFilter;
use treecast_core::tree_state::TreePlace;
use treecast_core::withheld::ParentFailure;
use treecast_io::commands::{read_all, Command, COMMANDS};
use treecast_io::event_records::emit_all;
use treecast_io::msgpack::Writer;

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn commands() -> Vec<u8> {
    let mut out = Writer::default();
    out.array(8);
    out.array(4).text("SendDatagram").unsigned(0).address(&"192.0.2.1:7700".parse().unwrap()).bytes(b"data");
    out.array(4).text("SendDatagram").unsigned(0).address(&"[fe80::1%3]:7700".parse().unwrap()).bytes(b"data");
    out.array(4).text("SetHost").unsigned(4094).array(1).bytes(&[2, 0, 0, 0, 0, 7]).unsigned(u32::MAX);
    out.array(3).text("SetKeepLocal").unsigned(0).array(2);
    out.0.extend_from_slice(&[0xc3, 0xc2]);
    out.array(5).text("SetStormLimits").unsigned(0).unsigned(100);
    out.0.extend_from_slice(&[0xc0, 0xcd, 1, 0]);
    out.array(5).text("SetPortGroup").unsigned(1).unsigned(0).bytes(&[239, 1, 1, 1]).array(2).text("exclude").array(1);
    out.bytes(&[192, 0, 2, 1]);
    out.array(5).text("SetTreeMembers").unsigned(7).array(20);
    (0..20).for_each(|peer| _ = out.unsigned(peer * 1000));
    out.array(0).array(1).unsigned(99);
    out.array(4).text("SetPrefixRoute").unsigned(0).array(2).bytes(&[239, 0, 0, 0]).unsigned(8).unsigned(7);
    out.0
}

#[test]
fn commands_are_read_with_their_values() {
    let bytes = commands();
    let read: Vec<_> = read_all(&bytes).unwrap().collect::<Option<_>>().unwrap();
    let [Command::SendDatagram { endpoint: v4, .. }, Command::SendDatagram { endpoint: scoped, data, .. }, host, ..] =
        &read[..]
    else {
        panic!("{read:?}")
    };
    assert_eq!([v4, scoped].map(SocketAddr::to_string), ["192.0.2.1:7700", "[fe80::1%3]:7700"]);
    assert_eq!(*data, b"data");
    assert_eq!(*host, Command::SetHost { vlan: 4094, mac: [2, 0, 0, 0, 0, 7], peer: u32::MAX });
    let limits = [Some(100), None, Some(256)];
    let [broadcast_pps, multicast_pps, unknown_unicast_pps] = limits;
    assert_eq!(read[4], Command::SetStormLimits { port: 0, broadcast_pps, multicast_pps, unknown_unicast_pps });
    let filter = SourceFilter::new(true, vec!["192.0.2.1".parse().unwrap()]);
    let group = "239.1.1.1".parse().unwrap();
    assert_eq!(read[5], Command::SetPortGroup { port: 1, vlan: 0, group, filter });
}

#[test]
fn a_command_that_cannot_be_costs_itself_only() {
    let mut out = Writer::default();
    out.array(7);
    out.array(2).text("NoSuchCommand").unsigned(1);
    out.array(2).text("RemoveTree").bytes(b"no number");
    out.array(3).text("RemoveTree").unsigned(1).unsigned(2);
    out.array(4).text("SetHost").unsigned(65_536).array(1).bytes(&[2, 0, 0, 0, 0, 7]).unsigned(1);
    out.array(4).text("SetHost").unsigned(0).array(1).bytes(&[2, 0, 0, 0, 0]).unsigned(1);
    out.0.push(0xc0);
    out.array(2).text("RemoveTree").unsigned(9);
    let read: Vec<_> = read_all(&out.0).unwrap().collect();
    assert_eq!(read[..6], [const { None }; 6]);
    assert_eq!(read[6], Some(Command::RemoveTree { stream: 9 }));
}

#[test]
fn no_bytes_make_the_reader_panic_or_hold_more_than_came() {
    let (valid, mut random) = (commands(), Random(7));
    let (mut whole, mut broken) = (0, 0);
    for _ in 0..100_000 {
        let mut bytes = valid.clone();
        for _ in 0..random.below(6) {
            let at = random.below(bytes.len());
            bytes[at] = random.below(256) as u8;
        }
        if random.below(4) == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        match read_all(&bytes).map(Iterator::count) {
            Ok(count) => {
                whole += 1;
                assert!(count <= bytes.len());
            }
            Err(_) => broken += 1,
        }
    }
    assert!(whole > 1000 && broken > 1000, "{whole} whole, {broken} broken");
    for _ in 0..100_000 {
        let bytes: Vec<u8> = (0..random.below(64)).map(|_| random.below(256) as u8).collect();
        _ = read_all(&bytes).is_ok_and(|read| read.count() > bytes.len());
    }
    // An array of 2^32 - 1 in five bytes, alone and in a field.
    assert!(read_all(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    let mut out = Writer::default();
    out.array(1).array(5).text("SetTreeMembers").unsigned(7);
    out.0.extend_from_slice(&[0xdd, 0xff, 0xff, 0xff, 0xff]);
    assert!(read_all(&out.0).is_err());
}

#[test]
fn an_event_is_its_name_and_its_fields() {
    let tree = TreeName { root: 2, stream: 300, epoch: 1 };
    let events = [
        Event::KeyOffered { stream: tree.stream_name(), key_id: 9, context: vec![0xc0] },
        Event::TreeOffered {
            tree,
            number: 7,
            place: TreePlace {
                parent: 2,
                children: [4, 5].into(),
                backup_children: [6].into(),
                ..TreePlace::default()
            },
        },
        Event::ParentFailed { tree, parent: 3, failure: ParentFailure::Withholds },
        Event::ForeignHandshake { source: "[fe80::1%3]:7700".parse().unwrap() },
    ];
    let offered = [&b"\x95\xd9\x0aKeyOffered\x02\xce\0\0\x01\x2c\x09\xc4\x01\xc0"[..]].concat();
    let state =
        &b"\x99\xd9\x0bTreeOffered\x02\xce\0\0\x01\x2c\x01\xcf\0\0\0\0\0\0\0\x07\x02\x00\x92\x04\x05\x91\x06"[..];
    let silent = &b"\x96\xd9\x0cParentFailed\x02\xce\0\0\x01\x2c\x01\x03\x02"[..];
    let address = [&b"\x92\xc4\x14\xfe\x80"[..], &[0; 13], b"\x01\0\0\0\x03\xce\0\0\x1e\x14"].concat();
    let foreign = [&b"\x92\xd9\x10ForeignHandshake"[..], &address].concat();
    assert_eq!(emit_all(&events), [&b"\x94"[..], &offered, state, silent, &foreign].concat());
}

#[test]
fn no_two_commands_have_one_name() {
    let names: std::collections::HashSet<_> = COMMANDS.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), COMMANDS.len());
}
