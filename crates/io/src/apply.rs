//! Carries out the commands of the control plane, in order; those that are refused cost themselves only.

use std::collections::HashSet;
use std::hash::Hash;
use std::io;
use std::net::SocketAddr;

use treecast_core::aead::Aead;
use treecast_core::datagram::{StreamName, TreeName};
use treecast_core::forward::NO_PATH;
use treecast_core::frame_source::CertifiedNode;
use treecast_core::handshake::SessionKeys;
use treecast_core::path::Endpoint;
use treecast_core::port::Port;
use treecast_core::root_tree::{Hops, KeyBefore};
use treecast_core::routes::SetRoute;
use treecast_core::session::SessionParameters;
use treecast_core::table::Refused;
use treecast_core::tree_state::TreePlace;

use crate::commands::{read_all, Command};
use crate::forwarder::Forwarder;
use crate::msgpack::Malformed;
use crate::sys::thread::monotonic_ns;
use crate::waiting::{HostAtNode, WaitingCommands};

/// A handshake that a command names by its place in the list; spent by that. `keys`: None when it is not finished, or spent.
#[allow(missing_docs)]
pub struct SpentHandshake {
    pub keys: Option<SessionKeys>,
    pub index: u32,
    pub remote_index: u32,
}

/// A command that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRefusal {
    /// The place of the command among those that came with it.
    pub position: usize,
    /// Why, by kind.
    pub reason: Refused,
    /// Why, for a log.
    pub text: String,
}

/// Why one command was refused.
struct Cause(Refused, String);

impl Cause {
    fn invalid(text: &str) -> Self {
        Self(Refused::Invalid, text.to_owned())
    }

    fn at(self, position: usize) -> CommandRefusal {
        let Self(reason, text) = self;
        CommandRefusal { position, reason, text }
    }
}

impl From<Refused> for Cause {
    fn from(refused: Refused) -> Self {
        let text = match refused {
            Refused::Unknown => "no such tree or key",
            Refused::TableFull => "the table is full",
            Refused::Taken => "the session index is taken",
            Refused::Invalid => "values that contradict each other",
        };
        Self(refused, text.to_owned())
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self(Refused::Invalid, error.to_string())
    }
}

impl Forwarder {
    /// Carries out these commands. Malformed when they are no whole array: then none was carried out.
    pub fn apply(
        &self,
        commands: &[u8],
        mut handshakes: Vec<SpentHandshake>,
    ) -> Result<Vec<CommandRefusal>, Malformed> {
        let (mut refusals, mut waiting) = (Vec::new(), WaitingCommands::default());
        for (position, command) in read_all(commands)?.enumerate() {
            let done = match command.map(|command| waiting.take(position, command)) {
                Some(Some(due)) => {
                    self.write_hosts(&due.hosts, &mut refusals);
                    self.write_routes(&due.routes, &mut refusals);
                    self.carry_out(due.command, &mut handshakes)
                }
                Some(None) => Ok(()),
                None => Err(Cause::invalid("no such command, or not with such values")),
            };
            if let Err(cause) = done {
                refusals.push(cause.at(position));
            }
        }
        let (hosts, routes) = waiting.rest();
        self.write_hosts(&hosts, &mut refusals);
        self.write_routes(&routes, &mut refusals);
        refusals.sort_by_key(|refusal| refusal.position);
        Ok(refusals)
    }

    fn write_hosts(&self, hosts: &[(usize, HostAtNode)], refusals: &mut Vec<CommandRefusal>) {
        let refused = match hosts[..] {
            [] => return,
            [(_, (vlan, mac, peer))] => {
                self.tables.set_host(vlan, mac, peer).err().map(|_| (vlan, mac)).into_iter().collect()
            }
            _ => self.tables.set_hosts(hosts.iter().map(|(_, host)| *host).collect()),
        };
        table_full(refused, hosts.iter().map(|(position, (vlan, mac, _))| (*position, (*vlan, *mac))), refusals);
    }

    fn write_routes(&self, routes: &[(usize, SetRoute)], refusals: &mut Vec<CommandRefusal>) {
        if routes.is_empty() {
            return;
        }
        let all: Vec<SetRoute> = routes.iter().map(|(_, route)| *route).collect();
        let refused = self.tables.set_routes(&all);
        table_full(refused, routes.iter().map(|(position, route)| (*position, route.key())), refusals);
    }

    /// One command. What cannot be sent is counted, and no refusal.
    fn carry_out(&self, command: Command<'_>, handshakes: &mut [SpentHandshake]) -> Result<(), Cause> {
        let tables = &self.tables;
        match command {
            Command::SendDatagram { socket, endpoint, data } => {
                self.send_datagram(Endpoint { socket, address: endpoint }, data);
            }
            Command::SendControl { peer, data } => {
                self.send_control(peer, data);
            }
            Command::SendHandshake { peer, data } => {
                self.send_handshake(peer, data);
            }
            Command::SendForwarded { neighbour, destination, data } => {
                self.send_forwarded(neighbour, destination, data);
            }
            Command::Inject { port, frame } => {
                self.inject(port, frame);
            }
            Command::FloodFrame { port, frame } => self.flood(port, frame),
            Command::SetPortForwarding { port, on } => self.port(port)?.set_forwarding(on),
            Command::SetStormLimits { port, broadcast_pps, multicast_pps, unknown_unicast_pps } => {
                self.port(port)?.set_storm_limits(broadcast_pps, multicast_pps, unknown_unicast_pps);
            }
            Command::SetKeepLocal { port, keep } => self.port(port)?.set_keep_local(keep.ra, keep.dhcp),
            Command::SetUnknownUnicastFlood { port, on } => self.port(port)?.set_unknown_unicast_flood(on),
            Command::SetPortSelective { port, on } => self.port(port)?.set_selective(on),
            Command::SetPortGroup { port, vlan, group, filter } => tables.set_port_group(port, vlan, group, filter)?,
            Command::InstallSession { handshake, session, peer, socket, endpoint, aead, confirmed } => {
                let of_session = handshakes.get_mut(handshake).filter(|handshake| handshake.index == session);
                let handshake = of_session.ok_or_else(|| Cause::invalid("no handshake of this session"))?;
                let endpoint = endpoint.map_or(Ok(NO_PATH), |address| self.endpoint(socket, address))?;
                self.install_session(handshake, peer, endpoint, aead, confirmed)?;
            }
            Command::RemoveSession { session } => tables.remove_session(session),
            Command::ForgetPeer { peer } => tables.forget_peer(peer),
            Command::SetNodeRoute { node, next_hop } => tables.set_node_route(node, next_hop)?,
            Command::RemoveNodeRoute { node } => self.remove_node_route(node),
            Command::SetPath { peer, socket, endpoint } => {
                tables.set_path(peer, self.endpoint(socket, endpoint)?, monotonic_ns());
            }
            Command::RemovePath { peer } => tables.set_path(peer, NO_PATH, monotonic_ns()),
            Command::ChallengePath { peer, socket, endpoint, value } => {
                self.challenge_path(peer, self.endpoint(socket, endpoint)?, value);
            }
            Command::ProbePeer { peer } => self.probe(peer),
            Command::SetFingerprint { fingerprint } => tables.fingerprints.set(fingerprint),
            Command::SetPeerUnderlayMtu { peer, mtu_bytes } => tables.set_peer_underlay_mtu(peer, mtu_bytes)?,
            Command::CertifyNode { node, bridge, carried, addresses, signing_key, send_to } => {
                let (addresses, send_to) = (addresses.into(), send_to.map(Into::into));
                tables.certify_node(node, CertifiedNode { bridge, carried, addresses, signing_key, send_to })?;
            }
            Command::UncertifyNode { node } => tables.uncertify_node(node),
            Command::SetAuthenticatedGroups { prefixes } => tables.set_authenticated_groups(prefixes),
            Command::SetBridgeMac { mac, addresses } => tables.set_bridge_mac(mac, addresses.into()),
            Command::RemoveHost { vlan, mac } => tables.remove_host(vlan, mac),
            Command::RemoveRoute { vlan, group, source } => tables.remove_route(vlan, group, source),
            Command::SetPrefixRoute { vlan, prefix, stream } => {
                tables.set_prefix_route(vlan, prefix.first, prefix.length, stream)?;
            }
            Command::RemovePrefixRoute { vlan, prefix } => {
                tables.remove_prefix_route(vlan, prefix.first, prefix.length);
            }
            of_trees => self.carry_out_of_trees(of_trees)?,
        }
        Ok(())
    }

    fn carry_out_of_trees(&self, command: Command<'_>) -> Result<(), Cause> {
        let tables = &self.tables;
        match command {
            Command::CreateTree { stream, epoch, key_id } => self.create_tree(stream, epoch, key_id)??,
            Command::RemoveTree { stream } => tables.remove_tree(stream),
            Command::SetTreeMembers { stream, next_hops, replicate, beyond } => {
                let (next_hops, replicate, beyond) = (next_hops.into(), replicate.into(), beyond.into());
                self.set_tree_members(stream, Hops { next_hops, replicate, beyond, ..Hops::default() })?;
            }
            Command::MakeKey { stream, key_id, epoch } => self.make_key(stream, key_id, epoch)??,
            Command::UseKey { stream, key_id } => self.use_key(stream, key_id)?,
            Command::AnnounceKey { stream } => self.announce_key(stream),
            Command::OfferKey { stream, key_id, peer, context, before, before_ends_ms } => {
                self.offer_key(stream, key_id, peer, context, KeyBefore { key_id: before, ends_ms: before_ends_ms })?;
            }
            Command::OfferTree { stream, epoch, peer, parent, backup, children, backup_children, backup_sends } => {
                let (children, backup_children) = (children.into(), backup_children.into());
                let place = TreePlace { parent, backup, children, backup_children, backup_sends };
                self.offer_tree(stream, epoch, peer, &place)?;
            }
            Command::AcceptKey { root, stream, key_id, flow, acknowledgement } => {
                let taken = tables.accept_key(StreamName { root, stream }, key_id, flow)?;
                self.acknowledge(taken, root, acknowledgement)?;
            }
            Command::RefuseKey { root, stream, key_id } => tables.refuse_key(StreamName { root, stream }, key_id),
            Command::AcceptTree { root, stream, epoch, number, acknowledgement } => {
                let taken = tables.accept_tree(TreeName { root, stream, epoch }, number)?;
                self.acknowledge(taken, root, acknowledgement)?;
            }
            Command::RefuseTree { root, stream, epoch, number } => {
                tables.refuse_tree(TreeName { root, stream, epoch }, number);
            }
            Command::LeaveStream { root, stream } => tables.leave_stream(StreamName { root, stream }),
            Command::ConfirmStream { root, stream, within_ms, again } => {
                self.confirm_stream(StreamName { root, stream }, within_ms, again);
            }
            Command::EndRelaying { root, stream } => tables.end_relaying(StreamName { root, stream }),
            _ => return Err(Cause::invalid("no command of trees")),
        }
        Ok(())
    }

    /// Acknowledges to the root that its offer was taken; there may have been none, or one that is older than what is held.
    fn acknowledge(&self, taken: bool, root: u32, acknowledgement: &[u8]) -> Result<(), Cause> {
        if !taken {
            return Err(Cause(Refused::Unknown, "no such offer, or an older one".to_owned()));
        }
        if !acknowledgement.is_empty() {
            self.send_control(root, acknowledgement);
        }
        Ok(())
    }

    fn install_session(
        &self,
        handshake: &mut SpentHandshake,
        peer: u32,
        endpoint: Endpoint,
        aead: u8,
        confirmed: bool,
    ) -> Result<(), Cause> {
        let aead = Aead::from_number(aead).ok_or_else(|| Cause::invalid("no such AEAD"))?;
        let spent = || Cause::invalid("the handshake is not finished, or spent");
        let keys = handshake.keys.take().ok_or_else(spent)?;
        let SpentHandshake { index, remote_index, .. } = *handshake;
        let parameters = SessionParameters { index, remote_index, peer, endpoint, aead, confirmed };
        Ok(self.tables.install_session(parameters, &keys, monotonic_ns())?)
    }

    fn endpoint(&self, socket: u32, address: SocketAddr) -> Result<Endpoint, Cause> {
        let known = (socket as usize) < self.listening().len();
        known.then_some(Endpoint { socket, address }).ok_or_else(|| Cause::invalid("no such socket"))
    }

    fn port(&self, port: u32) -> Result<&Port, Cause> {
        let here = self.has_port(port).then(|| self.tables.port(port)).flatten();
        here.ok_or_else(|| Cause::invalid("no such port"))
    }
}

/// Adds refusals of the commands whose keys a full table has refused.
fn table_full<K: Hash + Eq>(
    refused: Vec<K>,
    all: impl Iterator<Item = (usize, K)>,
    refusals: &mut Vec<CommandRefusal>,
) {
    if !refused.is_empty() {
        let refused: HashSet<K> = refused.into_iter().collect();
        let of = all.filter(|(_, key)| refused.contains(key));
        refusals.extend(of.map(|(position, _)| Cause::from(Refused::TableFull).at(position)));
    }
}
