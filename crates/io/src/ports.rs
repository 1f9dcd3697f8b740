//! The TAP and the sockets, and sending single things through them from any thread.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicUsize, Ordering};

use treecast_core::counters::Counter;
use treecast_core::datagram::{DatagramLimit, Inner, KIND_FRAGMENT, KIND_FRAME, MAX_DATAGRAM_LEN, SESSION_OVERHEAD};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::fragment::{cut, FRAGMENT_HEADER_LEN, MAX_FRAME_LEN};
use treecast_core::headers::Frame;
use treecast_core::offload::vnet::{NEEDS_CSUM, VNET_LEN};
use treecast_core::offload::{Segmenter, VnetHeader};
use treecast_core::port::TAP_PORT;
use treecast_core::reason::Reason;
use treecast_core::session::{Endpoint, Session, SESSION_BODY_OFFSET};

use crate::packet_port::{LocalDelivery, PacketPorts};
use crate::socket_group::SocketGroup;
use crate::sys::tap::Tap;
use crate::sys::udp::Socket;

/// What a forwarder has open. Dropping it closes everything.
#[derive(Debug)]
pub struct Ports {
    /// The TAP.
    pub tap: Tap,
    /// The sockets, in the order of `listen`.
    pub sockets: Vec<SocketGroup>,
    /// Interfaces that cannot be bridged.
    pub packets: PacketPorts,
    /// How long a datagram may leave.
    pub underlay_mtu: UnderlayMtu,
}

/// The MTU of this node's underlay, which may change at any time: a reader takes it once per frame.
#[derive(Debug)]
pub struct UnderlayMtu(AtomicUsize);

impl UnderlayMtu {
    /// None below 1280 and above 9000.
    pub fn new(mtu: usize) -> Option<Self> {
        DatagramLimit::on_underlay(mtu).map(|_| Self(AtomicUsize::new(mtu)))
    }

    /// In bytes.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// False below 1280 and above 9000: then it stays as it was.
    pub fn set(&self, mtu: usize) -> bool {
        let known = DatagramLimit::on_underlay(mtu).is_some();
        if known {
            self.0.store(mtu, Ordering::Relaxed);
        }
        known
    }

    /// How long a datagram fits it, and the other side's too.
    pub fn limit(&self, others: usize) -> DatagramLimit {
        DatagramLimit::on_underlay(self.get().min(others)).unwrap_or(DatagramLimit::SHORTEST)
    }
}

impl Ports {
    /// Sends one datagram, at once and past all data that wait; counts it or why not.
    pub fn send(&self, tables: &ForwardingTables, datagram: &[u8], to: Endpoint) -> bool {
        let Some(socket) = self.sockets.get(to.socket as usize).map(SocketGroup::control) else {
            tables.drops.count(Reason::SocketUnreachable);
            return false;
        };
        for _ in 0..2 {
            match socket.send_to(datagram, &to.address) {
                Ok(()) => {
                    tables.counters.add(Counter::UdpSends, 1);
                    tables.counters.add(Counter::UdpTxDatagrams, 1);
                    tables.counters.add(Counter::UdpTxBytes, datagram.len() as u64);
                    return true;
                }
                // An ICMP error of an earlier datagram, or a signal: the second attempt is this datagram's own.
                Err(error) if is_transient(&error) => {}
                Err(error) => {
                    tables.drops.count(send_reason(&error));
                    return false;
                }
            }
        }
        tables.drops.count(Reason::SocketUnreachable);
        false
    }

    /// Seals a body for one session and sends it.
    pub fn send_on(&self, tables: &ForwardingTables, session: &Session, kind: u8, body: &[u8]) -> bool {
        let mut buffer = [0; MAX_DATAGRAM_LEN];
        let sealed = match buffer.get_mut(SESSION_BODY_OFFSET..).and_then(|room| room.get_mut(..body.len())) {
            Some(room) => {
                room.copy_from_slice(body);
                session.seal(Inner { kind, checksum: None }, body.len(), &mut buffer)
            }
            None => Err(Reason::TooBig),
        };
        match sealed {
            Ok(length) => {
                let sent = self.send(tables, &buffer[..length], session.endpoint());
                if sent {
                    session.traffic.tx.add(1, length as u64);
                }
                sent
            }
            Err(reason) => {
                tables.drops.count(reason);
                false
            }
        }
    }

    /// Seals a frame for one session and sends it, in parts where it does not fit one datagram.
    pub fn send_frame(&self, tables: &ForwardingTables, session: &Session, frame: &[u8]) {
        let most = self.underlay_mtu.limit(session.underlay_mtu()).body_len(SESSION_OVERHEAD);
        if frame.len() <= most {
            self.send_on(tables, session, KIND_FRAME, frame);
            return;
        }
        let parts = cut(frame, session.next_fragment_id(), most - FRAGMENT_HEADER_LEN);
        let Some(parts) = parts else { return tables.drops.count(Reason::TooBig) };
        for (fragment, bytes) in parts {
            self.send_on(tables, session, KIND_FRAGMENT, &[&fragment.emit()[..], bytes].concat());
        }
    }

    /// The same as [`Self::deliver`] for frames from elsewhere, which the TAP's LAN may keep out.
    pub fn hand_over(
        &self,
        tables: &ForwardingTables,
        frame: &Frame<'_>,
        parts: &[IoSlice<'_>],
        frames: u64,
        length: usize,
    ) -> bool {
        match tables.port(TAP_PORT).map_or(Ok(()), |port| port.passes(frame)) {
            Ok(()) => self.deliver(tables, parts, frames, length),
            Err(reason) => {
                tables.drops.add(reason, frames);
                false
            }
        }
    }

    /// Writes `frames` frames to the TAP with one call; the parts begin with the virtio-net header.
    pub fn deliver(&self, tables: &ForwardingTables, parts: &[IoSlice<'_>], frames: u64, length: usize) -> bool {
        match self.tap.write(parts) {
            Ok(_) => {
                tables.counters.add(Counter::TapWrites, 1);
                tables.counters.add(Counter::TapTxFrames, frames);
                tables.counters.add(Counter::TapTxBytes, length as u64);
                true
            }
            Err(error) => {
                let reason = match error.raw_os_error() {
                    Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => Reason::TapFull,
                    Some(libc::EIO | libc::ENETDOWN) => Reason::TapDown,
                    _ => Reason::TapOther,
                };
                tables.drops.add(reason, frames);
                false
            }
        }
    }

    /// A group's frame of a host goes to the other ports of this node too. True when one has it.
    pub fn bridge_locally(
        &self,
        tables: &ForwardingTables,
        from: u32,
        vnet: &VnetHeader,
        frame: &Frame<'_>,
        segmenter: &Segmenter<'_>,
    ) -> bool {
        let frames = segmenter.count();
        let vnet = VnetHeader { flags: vnet.flags & NEEDS_CSUM, ..*vnet }.emit();
        let parts = [IoSlice::new(&vnet), IoSlice::new(frame.bytes)];
        let LocalDelivery { to_tap, taken } = self.packets.deliver_locally(tables, from, frame, &parts, frames);
        let Some(tap) = tables.port(TAP_PORT).filter(|tap| to_tap && tap.forwards()) else { return taken };
        let delivered = if frames > 1 && tap.groups_go_singly() {
            self.deliver_singly(tables, frame, segmenter)
        } else {
            self.hand_over(tables, frame, &parts, frames as u64, frame.bytes.len())
        };
        delivered || taken
    }

    /// Writes each frame of a super-frame to the TAP; true when one was taken. All have the headers of the super-frame.
    fn deliver_singly(&self, tables: &ForwardingTables, super_frame: &Frame<'_>, segmenter: &Segmenter<'_>) -> bool {
        let mut buffer = [0; MAX_FRAME_LEN];
        let mut delivered = false;
        for index in 0..segmenter.count() {
            let written = segmenter.write(index, &mut buffer);
            let Some((bytes, checksum)) =
                written.and_then(|(length, checksum)| Some((buffer.get(..length)?, checksum)))
            else {
                tables.drops.count(Reason::TooBig);
                continue;
            };
            let (vnet, frame) = (VnetHeader::single(checksum).emit(), Frame { bytes, ..*super_frame });
            let parts = [IoSlice::new(&vnet), IoSlice::new(bytes)];
            delivered |= self.hand_over(tables, &frame, &parts, 1, bytes.len());
        }
        delivered
    }

    /// Writes one complete frame to the TAP.
    pub fn inject(&self, tables: &ForwardingTables, frame: &[u8]) -> bool {
        self.deliver(tables, &[IoSlice::new(&[0; VNET_LEN]), IoSlice::new(frame)], 1, frame.len())
    }

    /// Takes over what the kernel has counted.
    pub fn note_overruns(&self, tables: &ForwardingTables) {
        tables.drops.set(Reason::TapOverrun, self.tap.overruns());
        let sockets = self.sockets.iter().flat_map(SocketGroup::all);
        tables.drops.set(Reason::SocketOverrun, sockets.map(Socket::overruns).sum());
    }

    /// What the kernel granted, by name.
    pub fn offloads(&self) -> Vec<&'static str> {
        let tap = self.tap.offloads();
        let sockets = || self.sockets.iter().flat_map(SocketGroup::all);
        let udp = |has: fn(&Socket) -> bool| sockets().all(has) && sockets().next().is_some();
        let all = [
            ("tap-csum", tap.csum),
            ("tap-tso", tap.tso),
            ("tap-uso", tap.uso),
            ("tap-queues", self.tap.queues().len() > 1),
            ("udp-gso", udp(Socket::gso)),
            ("udp-gro", udp(Socket::gro)),
        ];
        all.into_iter().filter(|(_, granted)| *granted).map(|(name, _)| name).collect()
    }

    /// The data socket for what goes to a peer: its address's number and its own.
    pub fn data_socket(&self, peer: u32, to: &Endpoint) -> Option<(u32, u32)> {
        let own = self.sockets.get(to.socket as usize)?.data_to(peer);
        Some((to.socket, own))
    }
}

/// Worth a second attempt at once.
pub fn is_transient(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::ECONNREFUSED | libc::EPROTO))
}

/// The drop reason of a failed send.
pub fn send_reason(error: &io::Error) -> Reason {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => Reason::SocketFull,
        Some(libc::EMSGSIZE) => Reason::SocketTooBig,
        Some(
            libc::ENETUNREACH
            | libc::EHOSTUNREACH
            | libc::ENETDOWN
            | libc::EPERM
            | libc::EACCES
            | libc::EAFNOSUPPORT
            | libc::EADDRNOTAVAIL
            | libc::ECONNREFUSED
            | libc::EINVAL,
        ) => Reason::SocketUnreachable,
        _ => Reason::SocketOther,
    }
}
