//! The commands of the control plane, as they come from Python: an array of arrays, each a command's name and its fields.
//!
//! The names and fields are those of `base/commands.py`, where they are explained; a test compares them.

use std::net::{IpAddr, SocketAddr};

use treecast_core::broadcast_signature::PublicKey;
use treecast_core::frame::Mac;
use treecast_core::key_flow::KeyFlow;
use treecast_core::prefixes::Prefix;
use treecast_core::source_filter::SourceFilter;

use crate::msgpack::{Field, Malformed, Reader};

macro_rules! commands {
    ($($name:ident { $($field:ident: $kind:ty),+ $(,)? })+) => {
        /// A command of the control plane.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Command<'a> {
            $($name { $($field: $kind),+ }),+
        }

        /// Names of commands, with those of their fields.
        pub const COMMANDS: &[(&str, &[&str])] = &[$((stringify!($name), &[$(stringify!($field)),+])),+];

        impl<'a> Field<'a> for Command<'a> {
            fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
                let length = reader.array()?;
                match reader.text()? {
                    $(stringify!($name) if length == 1 + [$(stringify!($field)),+].len() => {
                        Ok(Self::$name { $($field: Field::read(reader)?),+ })
                    })+
                    _ => Err(Malformed),
                }
            }
        }
    };
}

commands! {
    SendDatagram { socket: u32, endpoint: SocketAddr, data: &'a [u8] }
    SendControl { peer: u32, data: &'a [u8] }
    SendHandshake { peer: u32, data: &'a [u8] }
    SendForwarded { neighbour: u32, destination: u32, data: &'a [u8] }
    Inject { port: u32, frame: &'a [u8] }
    FloodFrame { port: u32, frame: &'a [u8] }
    SetPortForwarding { port: u32, on: bool }
    SetStormLimits {
        port: u32,
        broadcast_pps: Option<u32>,
        multicast_pps: Option<u32>,
        unknown_unicast_pps: Option<u32>,
    }
    SetKeepLocal { port: u32, keep: KeepLocal }
    SetUnknownUnicastFlood { port: u32, on: bool }
    SetPortSelective { port: u32, on: bool }
    SetPortGroup { port: u32, vlan: u16, group: IpAddr, filter: SourceFilter }
    InstallSession {
        handshake: usize,
        session: u32,
        peer: u32,
        socket: u32,
        endpoint: Option<SocketAddr>,
        aead: u8,
        confirmed: bool,
    }
    RemoveSession { session: u32 }
    ForgetPeer { peer: u32 }
    SetNodeRoute { node: u32, next_hop: u32 }
    RemoveNodeRoute { node: u32 }
    SetPath { peer: u32, socket: u32, endpoint: SocketAddr }
    RemovePath { peer: u32 }
    ChallengePath { peer: u32, socket: u32, endpoint: SocketAddr, value: u64 }
    ProbePeer { peer: u32 }
    SetFingerprint { fingerprint: u128 }
    SetPeerUnderlayMtu { peer: u32, mtu_bytes: usize }
    CertifyNode {
        node: u32, bridge: bool, carried: bool, addresses: Vec<IpAddr>, signing_key: PublicKey, send_to: Option<Vec<Prefix>>
    }
    UncertifyNode { node: u32 }
    SetAuthenticatedGroups { prefixes: Vec<Prefix> }
    SetBridgeMac { mac: Option<Mac>, addresses: Vec<IpAddr> }
    SetHost { vlan: u16, mac: Mac, peer: u32 }
    RemoveHost { vlan: u16, mac: Mac }
    CreateTree { stream: u32, epoch: u32, key_id: u32 }
    RemoveTree { stream: u32 }
    SetTreeMembers { stream: u32, next_hops: Vec<u32>, replicate: Vec<u32>, beyond: Vec<u32> }
    MakeKey { stream: u32, key_id: u32, epoch: u32 }
    UseKey { stream: u32, key_id: u32 }
    AnnounceKey { stream: u32 }
    OfferKey { stream: u32, key_id: u32, peer: u32, context: &'a [u8], before: u32, before_ends_ms: u16 }
    OfferTree { stream: u32, epoch: u32, peer: u32, parent: u32, backup: u32, children: Vec<u32>, backup_children: Vec<u32>, backup_sends: bool }
    SetRoute { vlan: u16, group: IpAddr, source: Option<IpAddr>, stream: u32 }
    SetPrefixRoute { vlan: u16, prefix: Prefix, stream: u32 }
    RemovePrefixRoute { vlan: u16, prefix: Prefix }
    RemoveRoute { vlan: u16, group: IpAddr, source: Option<IpAddr> }
    AcceptKey { root: u32, stream: u32, key_id: u32, flow: Option<KeyFlow>, acknowledgement: &'a [u8] }
    RefuseKey { root: u32, stream: u32, key_id: u32 }
    AcceptTree { root: u32, stream: u32, epoch: u32, number: u64, acknowledgement: &'a [u8] }
    RefuseTree { root: u32, stream: u32, epoch: u32, number: u64 }
    LeaveStream { root: u32, stream: u32 }
    ConfirmStream { root: u32, stream: u32, within_ms: u32, again: bool }
    EndRelaying { root: u32, stream: u32 }
}

/// Frames that stay on a LAN; see `base/keep_local.py`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct KeepLocal {
    pub ra: bool,
    pub dhcp: bool,
}

impl Field<'_> for KeepLocal {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array_of(2)?;
        Ok(Self { ra: Field::read(reader)?, dhcp: Field::read(reader)? })
    }
}

impl Field<'_> for KeyFlow {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array_of(3)?;
        Ok(Self { vlan: Field::read(reader)?, groups: Field::read(reader)?, source: Field::read(reader)? })
    }
}

impl Field<'_> for Prefix {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array_of(2)?;
        Ok(Self { first: Field::read(reader)?, length: Field::read(reader)? })
    }
}

impl Field<'_> for SourceFilter {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array_of(2)?;
        let exclude = match reader.text()? {
            "exclude" => true,
            "include" => false,
            _ => return Err(Malformed),
        };
        Ok(Self::new(exclude, Field::read(reader)?))
    }
}

/// Reads the commands one by one. One that cannot be is an error, those behind it follow; None when nothing more can be found.
pub fn read_all(bytes: &[u8]) -> Result<impl Iterator<Item = Option<Command<'_>>>, Malformed> {
    let mut whole = Reader::new(bytes);
    let count = whole.array()?;
    let mut all = whole.clone();
    for _ in 0..count {
        all.skip()?;
    }
    if !all.is_done() {
        return Err(Malformed);
    }
    Ok((0..count).map(move |_| {
        let mut one = whole.clone();
        let command = Command::read(&mut one).ok();
        match command {
            Some(_) => whole = one,
            // The array was found to be whole above.
            None => whole.skip().unwrap_or_default(),
        }
        command
    }))
}
