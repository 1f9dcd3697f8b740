//! The system calls on loopback: what `sys` writes into headers, the kernel reads, and the other way round. Also for
//! AddressSanitizer (`make sanitize`).

use std::net::SocketAddr;
use std::os::fd::AsFd;

use treecast_io::socket_group::SocketGroup;
use treecast_io::sys::address::RawAddress;
use treecast_io::sys::batch::{BatchSender, Outgoing, Receiver};
use treecast_io::sys::poll::{EventFd, Poll};
use treecast_io::sys::thread::{monotonic_ns, random};
use treecast_io::sys::udp::{Buffers, Socket};

const BUFFERS: Buffers = Buffers { receive: 1 << 20, send: 1 << 20 };
const SECOND_NS: u64 = 1_000_000_000;
const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

/// A datagram as the other side should see it: its bytes and its traffic class.
type Seen = (Vec<u8>, u8);

/// Takes datagrams until there are `count`.
fn receive(socket: &Socket, count: usize) -> Vec<Seen> {
    let poll = Poll::new().unwrap();
    poll.add(socket.as_fd(), 1).unwrap();
    let mut receiver = Receiver::new(4);
    let mut seen = Vec::new();
    let limit_ns = monotonic_ns() + 10 * SECOND_NS;
    while seen.len() < count && monotonic_ns() < limit_ns {
        poll.wait(Some(SECOND_NS)).unwrap();
        if receiver.receive(socket.as_fd()).is_err() {
            continue;
        }
        for (message, bytes) in receiver.messages() {
            assert!(!message.truncated && message.source.is_some());
            seen.extend(bytes.chunks(message.segment.max(1)).map(|one| (one.to_vec(), message.traffic_class)));
        }
    }
    seen
}

#[test]
fn runs_and_single_datagrams_arrive_with_their_bytes_and_classes_over_both_families() {
    for loopback in LOOPBACKS {
        let [from, to] = [0, 1].map(|_| Socket::bind(&loopback.parse().unwrap(), BUFFERS).unwrap());
        let address = RawAddress::new(&to.local());
        let bytes: Vec<u8> = (0..4000u32).map(|value| value as u8).collect();
        let rows = [(0..4000, 1000u16, 0xBA), (0..2500, 1000, 0), (0..700, 0, 0x03), (0..1, 0, 0)];
        let outgoing = rows.clone().map(|(range, segment, traffic_class)| Outgoing {
            address: &address,
            data: &bytes[range],
            segment,
            traffic_class,
        });
        let mut sender = BatchSender::new(8);
        assert_eq!(sender.send(from.as_fd(), outgoing.into_iter()).unwrap(), 4);
        let expected: Vec<Seen> = rows
            .into_iter()
            .flat_map(|(range, segment, class)| {
                let length = if segment == 0 { range.len() } else { segment.into() };
                bytes[range].chunks(length).map(|one| (one.to_vec(), class)).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(receive(&to, expected.len()), expected);
    }
}

#[test]
fn a_sender_takes_no_more_than_it_has_room_for_and_names_the_first_error() {
    let socket = Socket::bind(&"127.0.0.1:0".parse().unwrap(), BUFFERS).unwrap();
    let (here, nowhere) = (RawAddress::new(&socket.local()), RawAddress::new(&"127.0.0.1:0".parse().unwrap()));
    let one = |address| Outgoing { address, data: b"datagram", segment: 0, traffic_class: 0 };
    let mut sender = BatchSender::new(2);
    assert_eq!(sender.send(socket.as_fd(), [&here; 5].map(one).into_iter()).unwrap(), 2);
    assert_eq!(sender.send(socket.as_fd(), [&here, &nowhere].map(one).into_iter()).unwrap(), 1);
    let error = sender.send(socket.as_fd(), [&nowhere, &here].map(one).into_iter()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    assert_eq!(receive(&socket, 3).len(), 3);
}

#[test]
fn the_sockets_of_one_address_are_shared_by_nobody_else_and_each_peer_has_one() {
    for loopback in LOOPBACKS {
        for workers in [1, 3] {
            let listening = SocketGroup::bind(&loopback.parse().unwrap(), workers).unwrap();
            let local = listening.local();
            assert_eq!(listening.data().len() % workers, 0);
            assert!(listening.all().all(|socket| socket.local() == local));
            assert!(SocketGroup::bind(&local, workers).is_err());
            let [one, other] = [7, 8].map(|peer| listening.data_to(peer));
            assert_ne!(one, other);
            let peer = Socket::bind(&loopback.parse().unwrap(), BUFFERS).unwrap();
            for _ in 0..20 {
                peer.send_to(b"always to the same", &local).unwrap();
            }
            let counts = listening.all().map(|socket| {
                let mut receiver = Receiver::new(32);
                receiver.receive(socket.as_fd()).map_or(0, |_| receiver.messages().count())
            });
            let reached = counts.filter(|count| *count > 0).count();
            assert_eq!(reached, 1);
        }
    }
}

#[test]
fn addresses_come_back_as_they_went_in() {
    for text in ["192.0.2.1:7700", "[2001:db8::1]:7700", "[fe80::1%3]:1"] {
        let address: SocketAddr = text.parse().unwrap();
        assert_eq!(RawAddress::new(&address).get(), Some(address));
    }
    assert_eq!(RawAddress::empty().get(), None);
}

#[test]
fn an_event_is_readable_until_it_is_cleared() {
    let (poll, event) = (Poll::new().unwrap(), EventFd::new().unwrap());
    poll.add(event.as_fd(), 42).unwrap();
    let ready = || poll.wait(Some(0)).unwrap().tokens().collect::<Vec<_>>();
    assert_eq!(ready(), []);
    event.signal();
    event.signal();
    assert_eq!((ready(), ready()), (vec![42], vec![42]));
    event.clear();
    assert_eq!(ready(), []);
    event.signal();
    poll.remove(event.as_fd()).unwrap();
    assert_eq!(ready(), []);
}

#[test]
fn random_bytes_fill_the_whole_buffer() {
    let mut bytes = vec![0; 4096];
    random(&mut bytes).unwrap();
    assert!(bytes.chunks(64).all(|chunk| chunk.iter().any(|byte| *byte != 0)));
}
