//! The receiver: joins, counts, and says what came.

use std::io::{ErrorKind, Result, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::arguments::{ReceiveOptions, LARGEST_BYTES};
use crate::datagram;
use crate::process;
use crate::socket::{self, ReceiveBatch};
use crate::stream::Stream;

const BATCH: usize = 64;
const MOST_STREAMS: usize = 256;
/// The longest that a signal or the end of the duration waits for its notice.
const TIMEOUT: Duration = Duration::from_millis(20);

struct Received {
    joined_ns: u64,
    streams: Vec<Stream>,
    /// Datagrams that are not ours, and those of streams beyond the table.
    other: u64,
}

pub fn run(options: &ReceiveOptions) -> Result<String> {
    process::watch_signals();
    let mut received = Received { joined_ns: process::monotonic_ns(), streams: Vec::new(), other: 0 };
    let socket = open(options)?;
    println!("ready");
    std::io::stdout().flush()?;

    let start_ns = process::monotonic_ns();
    let end_ns = options.duration.map_or(u64::MAX, |duration| start_ns + duration.as_nanos() as u64);
    let count = options.count.unwrap_or(u64::MAX);
    let mut batch = ReceiveBatch::new(BATCH, LARGEST_BYTES);
    let mut total = 0;
    while total < count && !process::stopped() && process::monotonic_ns() < end_ns {
        match batch.receive(&socket) {
            Ok(taken) => total += received.add(&batch, taken),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(error) => return Err(error),
        }
        if process::report_wanted() {
            println!("{}", received.to_json(&socket, false));
            std::io::stdout().flush()?;
        }
    }
    Ok(received.to_json(&socket, true))
}

fn open(options: &ReceiveOptions) -> Result<UdpSocket> {
    let socket = socket::open(&options.on)?;
    socket::set_receive_buffer(&socket, options.buffer_bytes)?;
    socket::set_timeout(&socket, TIMEOUT)?;
    socket::bind(&socket, &options.on)?;
    if options.on.ip().is_multicast() {
        let index = options.interface.as_deref().map(socket::interface_index).transpose()?;
        socket::join(&socket, options.on.ip(), index.unwrap_or(0), &options.sources)?;
    } else if let Some(name) = &options.interface {
        socket::bind_to_interface(&socket, name)?;
    }
    Ok(socket)
}

impl Received {
    /// Counts a batch: how many of its datagrams are of a stream.
    fn add(&mut self, batch: &ReceiveBatch, taken: usize) -> u64 {
        let now_ns = process::monotonic_ns();
        let mut ours = 0;
        for (source, bytes) in (0..taken).filter_map(|index| batch.datagram(index)) {
            let known = datagram::parse(bytes).is_some_and(|header| {
                self.stream(source, header.stream).is_some_and(|stream| stream.add(header, bytes.len(), now_ns))
            });
            ours += u64::from(known);
            self.other += u64::from(!known);
        }
        ours
    }

    /// The stream's entry, a new one if need be; None when the table is full.
    fn stream(&mut self, source: SocketAddr, id: u32) -> Option<&mut Stream> {
        let known = self.streams.iter().rposition(|stream| stream.id == id && stream.source == source);
        if let Some(index) = known {
            return self.streams.get_mut(index);
        }
        if self.streams.len() == MOST_STREAMS {
            return None;
        }
        self.streams.push(Stream::new(source, id));
        self.streams.last_mut()
    }

    fn to_json(&self, socket: &UdpSocket, last: bool) -> String {
        let streams: Vec<String> = self.streams.iter().map(Stream::to_json).collect();
        format!(
            r#"{{"last":{last},"joined_ns":{},"other":{},"socket_drops":{},"streams":[{}]}}"#,
            self.joined_ns,
            self.other,
            socket::drops(socket),
            streams.join(",")
        )
    }
}
