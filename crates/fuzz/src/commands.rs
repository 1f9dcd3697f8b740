//! Commands of the control plane, read and carried out, by a forwarder that can send nothing anywhere.

use std::sync::{Arc, LazyLock};

use treecast_core::arrival::{IngressNode, Proof, Recent};
use treecast_core::datagram::{BROADCAST_STREAM, KIND_FRAME};
use treecast_core::egress::Leaving;
use treecast_core::handshake::SessionKeys;
use treecast_core::headers::Frame;
use treecast_core::port::TAP_PORT;
use treecast_core::verdict::RecentFlow;
use treecast_io::apply::{CommandRefusal, SpentHandshake};
use treecast_io::commands::read_all;
use treecast_io::configuration::Configuration;
use treecast_io::forwarder::Forwarder;
use treecast_io::msgpack::Malformed;
use zeroize::Zeroizing;

use crate::handshakes::{signing_key, NETWORK};
use crate::input::frame;
use crate::nodes::{add_trees, endpoint, Nodes};
use crate::nodes::{EPOCH, GROUP_STREAM, KEY_ID, MEMBER, NEXT_SESSION, NODE, OTHER_ROOT};

const NOW_NS: u64 = 2_000_000_000;

static CONFIGURATION: LazyLock<Configuration> = LazyLock::new(|| Configuration {
    node_index: NODE,
    network: NETWORK.clone(),
    signing_key: signing_key(),
    interface: "treecast0".into(),
    mac: [2, 0, 0, 0, 0, 2],
    mtu: 1400,
    take: false,
    underlay_mtu: 1500,
    listen: vec![endpoint(NODE).address],
    workers: 0,
    probe_interval_ns: 1_000_000_000,
});

/// A node that has what a command can be about: sessions, trees of its own and of other roots, a key that waits, offers.
struct Commanded {
    forwarder: Forwarder,
    member: Nodes,
}

impl Commanded {
    fn new() -> Self {
        let forwarder = Forwarder::detached(&CONFIGURATION).expect("two descriptors");
        let tables = &forwarder.tables;
        let member = Nodes::around(Arc::clone(tables));
        member.offer_another_tree();
        add_trees(tables, &[BROADCAST_STREAM, GROUP_STREAM], MEMBER);
        forwarder.make_key(GROUP_STREAM, KEY_ID + 1, EPOCH + 1).expect("randomness").expect("a tree that is there");
        Self { forwarder, member }
    }

    fn apply(&self, commands: &[u8]) -> Result<Vec<CommandRefusal>, Malformed> {
        let keys = Some(SessionKeys { seal: Zeroizing::new([3; 32]), open: Zeroizing::new([4; 32]) });
        let finished = SpentHandshake { keys, index: NEXT_SESSION, remote_index: NEXT_SESSION + 1 };
        self.forwarder.apply(commands, vec![finished])
    }

    /// Looks into each table that a command has written, as frames and datagrams do.
    fn forward(&self) {
        let (tables, bytes) = (&self.forwarder.tables, frame());
        let frame = Frame::read(&bytes);
        let _ = tables.classify(TAP_PORT, &frame, 1, NOW_NS, &mut RecentFlow::default());
        tables.goes_out(TAP_PORT, &Leaving::of(&frame));
        for root in [MEMBER, OTHER_ROOT] {
            for proof in [Proof::Own, Proof::Shared(None)] {
                let _ = tables.check_source(&frame, IngressNode { node: root, proof }, &mut Recent::default());
            }
        }
        let _ = self.member.receive(KIND_FRAME, &bytes, NOW_NS);
        self.forwarder.drain(16);
    }
}

/// Carries commands out, at a node that has what they can be about: those that were refused.
pub fn carry_out(bytes: &[u8]) -> Result<Vec<CommandRefusal>, Malformed> {
    let node = Commanded::new();
    let refusals = node.apply(bytes)?;
    node.forward();
    Ok(refusals)
}

/// Any commands: none is refused twice, and each refusal is of one that is there.
pub(crate) fn commands(bytes: &[u8]) {
    let Ok(commands) = read_all(bytes) else { return };
    let texts: Vec<String> = commands.map(|command| format!("{command:?}")).collect();
    assert!(texts.len() <= bytes.len(), "each takes a byte at least");
    let refusals = carry_out(bytes).expect("it was read");
    let positions: Vec<usize> = refusals.iter().map(|refusal| refusal.position).collect();
    assert!(positions.windows(2).all(|pair| pair[0] < pair[1]), "{positions:?}");
    assert!(positions.last().is_none_or(|last| *last < texts.len()), "{positions:?}");
}
