//! Two nodes in one process, without a network: their forwarding tables with sessions and trees between them.

use std::net::SocketAddr;
use std::sync::Arc;

use treecast_core::aead::Aead;
use treecast_core::arrival::{Opened, OpenedFrame, Received, Recent};
use treecast_core::broadcast_signature::SigningKey;
use treecast_core::datagram::{Inner, TreeHeader, TreeName};
use treecast_core::datagram::{KIND_FRAME, KIND_SENDER_KEY, KIND_TREE_STATE, MAX_DATAGRAM_LEN};
use treecast_core::downstream_tree::{DownstreamTree, NextHops};
use treecast_core::events::Event;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::frame::FrameFacts;
use treecast_core::handshake::SessionKeys;
use treecast_core::headers::Frame;
use treecast_core::network::Network;
use treecast_core::path::Endpoint;
use treecast_core::punt::PuntKind;
use treecast_core::reason::Reason;
use treecast_core::root_tree::{Generation, Hops, KeyBefore, Members, RootTree, SenderKey, TREE_BODY_OFFSET};
use treecast_core::session::{Session, SessionParameters, SESSION_BODY_OFFSET};
use treecast_core::tree_control::TreeSecrets;
use treecast_core::tree_state::TreePlace;
use treecast_core::tree_tag::TreeKey;
use treecast_core::verdict::RecentFlow;
use treecast_core::verdict::Verdict;
use zeroize::Zeroizing;

pub const NETWORK_ID: [u8; 16] = *b"a network's id..";
pub const NETWORK_KEY: [u8; 32] = *b"a key that all its members know.";
pub const NOW_NS: u64 = 1_000_000_000;
pub const EPOCH: u32 = 7;
pub const KEY_ID: u32 = 3;
/// Offers say so of the key before: until the next one is in use at the latest, and for as long as datagrams are on their way.
pub const BEFORE_ENDS_MS: u16 = 2_750;
/// There is none.
pub const NO_KEY_BEFORE: KeyBefore = KeyBefore { key_id: 0, ends_ms: 0 };

/// The key before, whose id is one less.
pub fn before(key_id: u32) -> KeyBefore {
    KeyBefore { key_id: key_id - 1, ends_ms: BEFORE_ENDS_MS }
}

pub fn network() -> Network {
    Network::new(NETWORK_ID, Zeroizing::new(NETWORK_KEY))
}

pub fn endpoint(last: u8) -> Endpoint {
    Endpoint { socket: 0, address: SocketAddr::from(([192, 0, 2, last], 7700)) }
}

pub fn tables(node: u32) -> ForwardingTables {
    ForwardingTables::new(node, &network(), signing_key(node), Box::new(|| {}))
}

/// The key that a node signs its broadcast with.
pub fn signing_key(node: u32) -> SigningKey {
    SigningKey::new(&[node as u8; 32]).unwrap()
}

/// Installs a session between node 1 and node 2 with known keys; `index` is node 1's, `index + 1` node 2's.
pub fn join(one: &ForwardingTables, two: &ForwardingTables, index: u32, aead: Aead) -> (Arc<Session>, Arc<Session>) {
    join_found(one, two, index, aead, None)
}

/// Joins as `join` does; `found`: where the handshake of the second has found the first, which has proved nothing yet.
pub fn join_found(
    one: &ForwardingTables,
    two: &ForwardingTables,
    index: u32,
    aead: Aead,
    found: Option<Endpoint>,
) -> (Arc<Session>, Arc<Session>) {
    let (a, b) = ([index as u8; 32], [index as u8 ^ 0xFF; 32]);
    let keys = |seal: [u8; 32], open: [u8; 32]| SessionKeys { seal: Zeroizing::new(seal), open: Zeroizing::new(open) };
    let parameters = |index, remote_index, peer: u32, found: Option<Endpoint>| SessionParameters {
        index,
        remote_index,
        peer,
        endpoint: found.unwrap_or(endpoint(peer as u8)),
        aead,
        confirmed: found.is_none(),
    };
    one.install_session(parameters(index, index + 1, two.node_index, None), &keys(a, b), NOW_NS).unwrap();
    two.install_session(parameters(index + 1, index, one.node_index, found), &keys(b, a), NOW_NS).unwrap();
    (one.session(index).unwrap(), two.session(index + 1).unwrap())
}

/// A sealed session datagram.
pub fn seal(session: &Session, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; MAX_DATAGRAM_LEN];
    buffer[SESSION_BODY_OFFSET..][..body.len()].copy_from_slice(body);
    let length = session.seal(Inner { kind, checksum: None }, body.len(), &mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

/// A sealed tree datagram for those who are members now.
pub fn seal_tree(tree: &RootTree, body: &[u8]) -> Vec<u8> {
    seal_for(tree, &tree.members.load(), KIND_FRAME, body)
}

/// A sealed tree datagram for these members.
pub fn seal_for(tree: &RootTree, members: &Members, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; MAX_DATAGRAM_LEN];
    buffer[TREE_BODY_OFFSET..][..body.len()].copy_from_slice(body);
    let length = tree.seal(members, Inner { kind, checksum: None }, body.len(), &mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

/// The frame of a session datagram as the receiver gets it.
pub fn receive(tables: &ForwardingTables, datagram: &[u8], from: Endpoint) -> Result<Option<Vec<u8>>, Reason> {
    receive_at(tables, datagram, from, NOW_NS)
}

/// The same at a time.
pub fn receive_at(
    tables: &ForwardingTables,
    datagram: &[u8],
    from: Endpoint,
    now_ns: u64,
) -> Result<Option<Vec<u8>>, Reason> {
    let mut buffer = datagram.to_vec();
    match tables.receive_session(&mut buffer, from, now_ns, &mut Recent::default())? {
        Received::Opened(Opened::Frame(OpenedFrame { start, length, .. })) => {
            Ok(Some(buffer[start..start + length].to_vec()))
        }
        _ => Ok(None),
    }
}

/// The frame of a tree datagram as a leaf gets it from node 1.
pub fn receive_tree(tables: &ForwardingTables, datagram: &[u8]) -> Result<Vec<u8>, Reason> {
    receive_tree_at(tables, datagram, NOW_NS)
}

/// The same at a time.
pub fn receive_tree_at(tables: &ForwardingTables, datagram: &[u8], now_ns: u64) -> Result<Vec<u8>, Reason> {
    match open_from(tables, 1, datagram, now_ns)? {
        (Opened::Frame(OpenedFrame { start, length, .. }), buffer) => Ok(buffer[start..start + length].to_vec()),
        (Opened::Part(part), _) => panic!("a whole frame: {part:?}"),
    }
}

/// Opens a tree datagram: of broadcast in a session with this node, else from its address.
pub fn open_from(
    tables: &ForwardingTables,
    node: u32,
    datagram: &[u8],
    now_ns: u64,
) -> Result<(Opened, Vec<u8>), Reason> {
    let (mut buffer, mut recent, mut known) = (datagram.to_vec(), Recent::default(), None);
    let is_broadcast = TreeHeader::parse(datagram).is_ok_and(|header| header.tree.is_broadcast());
    let (header, tree) = if is_broadcast {
        tables.receive_broadcast(&buffer, node, &mut known)?
    } else {
        tables.receive_tree(&buffer, endpoint(node as u8).address, now_ns, &mut recent)?
    };
    tables.open_tree(tree, &header, &mut buffer, false, now_ns).map(|opened| (opened, buffer))
}

/// Takes a tree datagram from node 1 at a relay.
pub fn relay(tables: &ForwardingTables, datagram: &[u8]) -> Option<Result<(Arc<DownstreamTree>, NextHops), Reason>> {
    let mut recent = Recent::default();
    let relayed = tables.relay((datagram, 0), endpoint(1).address, NOW_NS, &mut recent)?;
    Some(relayed.map(|(tree, next_hops)| (tree.clone(), (*next_hops).clone())))
}

/// Known keys.
pub fn secrets(tree_key: u8, sender_key: u8) -> TreeSecrets {
    TreeSecrets { tree_key: [tree_key; 16], sender_key: Zeroizing::new([sender_key; 32]) }
}

/// A tree rooted at `root` with `member` as its only next hop, which has taken key and place over their session.
pub fn tree(
    root: &ForwardingTables,
    member: &ForwardingTables,
    stream: u32,
    place: TreePlace,
) -> (Arc<RootTree>, TreeName) {
    root.create_tree(stream, EPOCH, KEY_ID, secrets(9, 8)).unwrap();
    root.set_tree_members(stream, Hops::new(&[member.node_index], &[])).unwrap();
    let name = TreeName { root: root.node_index, stream, epoch: EPOCH };
    take_key(root, member, name, KEY_ID);
    take_place(root, member, name, &place);
    (root.tree(stream).unwrap(), name)
}

/// The offer of a key travels from root to member.
pub fn give_key(root: &ForwardingTables, member: &ForwardingTables, name: TreeName, key_id: u32) {
    let session = root.session_to(member.node_index).unwrap();
    let offer = root.offer(name.stream, key_id, before(key_id), b"\xc0", NOW_NS).unwrap();
    let datagram = seal(&session, KIND_SENDER_KEY, &offer);
    assert_eq!(receive(member, &datagram, endpoint(root.node_index as u8)), Ok(None));
}

/// The member takes it.
pub fn take_key(root: &ForwardingTables, member: &ForwardingTables, name: TreeName, key_id: u32) {
    give_key(root, member, name, key_id);
    assert_eq!(member.accept_key(name.stream_name(), key_id, None), Ok(true));
}

/// The state of a tree travels from root to member.
pub fn give_place(
    root: &ForwardingTables,
    member: &ForwardingTables,
    name: TreeName,
    place: &TreePlace,
) -> Result<(), Reason> {
    let session = root.session_to(member.node_index).unwrap();
    let state = root.tree_state(name.stream, name.epoch, place).unwrap();
    receive(member, &seal(&session, KIND_TREE_STATE, &state), endpoint(root.node_index as u8)).map(|_| ())
}

/// The member takes it.
pub fn take_place(root: &ForwardingTables, member: &ForwardingTables, name: TreeName, place: &TreePlace) {
    assert_eq!(give_place(root, member, name, place), Ok(()));
    accept_places(member);
}

/// The member takes the places that it was offered.
pub fn accept_places(member: &ForwardingTables) {
    for (tree, number) in offered_places(member) {
        assert_eq!(member.accept_tree(tree, number), Ok(true));
    }
}

/// The trees on which the member was offered places, and the numbers of these.
pub fn offered_places(member: &ForwardingTables) -> Vec<(TreeName, u64)> {
    let events = member.events.drain(10_000, || {}).into_iter();
    events
        .filter_map(|event| match event {
            Event::TreeOffered { tree, number, .. } => Some((tree, number)),
            _ => None,
        })
        .collect()
}

/// A member that sends nothing on, below node 1.
pub fn leaf() -> TreePlace {
    relaying(&[])
}

/// A node below node 1 that sends each datagram on.
pub fn relaying(children: &[u32]) -> TreePlace {
    TreePlace { parent: 1, children: children.into(), ..TreePlace::default() }
}

/// A tree of who holds its keys, node 3: it seals as the root does, and signs broadcast with its own key.
pub fn tree_with(tree: TreeName, tree_key: u8, key: SenderKey) -> RootTree {
    RootTree::new(Generation { tree, tree_key: TreeKey::new([tree_key; 16]), key }, &signing_key(3))
}

/// The decision about a host's frame by the tables.
pub fn classify(tables: &ForwardingTables, port: u32, frame: &[u8], frames: u32, now_ns: u64) -> Verdict {
    tables.classify(port, &Frame::read(frame), frames, now_ns, &mut RecentFlow::default())
}

/// The event of a frame that came from the TAP.
pub fn tap_frame(frame: &[u8]) -> Event {
    let about = PuntKind::of(&Frame::read(frame));
    Event::TapFrame { port: 0, generation: 0, about, data: frame.to_vec() }
}

/// The kind of a frame by its bytes.
pub fn facts(frame: &[u8]) -> Result<FrameFacts, Reason> {
    FrameFacts::of(&Frame::read(frame))
}

/// An Ethernet frame with a payload.
pub fn ethernet(destination: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = destination.to_vec();
    frame.extend_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame.extend_from_slice(&ethertype.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// An IPv4 packet in a frame to the MAC of its destination group, or to `02:54:0:0:0:2`.
pub fn ipv4(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&(20 + payload.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0x40, 0, 4, protocol, 0, 0]);
    packet.extend_from_slice(&source);
    packet.extend_from_slice(&destination);
    packet.extend_from_slice(payload);
    let [a, b, c, d] = destination;
    let mac = match a {
        224..=239 => [1, 0, 0x5E, b & 0x7F, c, d],
        255 => [0xFF; 6],
        _ => [2, 0x54, 0, 0, 0, 2],
    };
    ethernet(mac, 0x0800, &packet)
}

/// An IPv6 packet in a frame to the MAC of its destination group, or to `02:54:0:0:0:2`.
pub fn ipv6(destination: [u8; 16], next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[next_header, 1]);
    packet.extend_from_slice(&[0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend_from_slice(&destination);
    packet.extend_from_slice(payload);
    let [.., a, b, c, d] = destination;
    let mac = if destination[0] == 0xFF { [0x33, 0x33, a, b, c, d] } else { [2, 0x54, 0, 0, 0, 2] };
    ethernet(mac, 0x86DD, &packet)
}
