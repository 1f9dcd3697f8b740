//! The sender: datagrams at an even pace, or as fast as they go.

use std::io::{ErrorKind, Result, Write};
use std::net::UdpSocket;

use crate::arguments::SendOptions;
use crate::datagram::{self, Header};
use crate::process;
use crate::socket::{self, SendBatch};

/// Which datagrams are due: an even pace from the start, one or some at a time, late ones caught up to a limit.
pub struct Pace {
    start_ns: u64,
    rate: u64,
    burst: u64,
    together: u64,
    /// Datagrams of the schedule that were sent or given up.
    done: u64,
    pub skipped: u64,
}

impl Pace {
    pub fn new(start_ns: u64, rate: u64, burst: u64, together: u64) -> Self {
        Self { start_ns, rate, burst, together, done: 0, skipped: 0 }
    }

    /// How many are due now and not yet taken.
    pub fn due(&mut self, now_ns: u64) -> u64 {
        let elapsed_ns = u128::from(now_ns.saturating_sub(self.start_ns));
        let turns = elapsed_ns * u128::from(self.rate) / (1_000_000_000 * u128::from(self.together));
        let scheduled = (turns as u64 + 1) * self.together;
        let behind = scheduled.saturating_sub(self.done);
        let skip = behind.saturating_sub(self.burst);
        self.skipped += skip;
        self.done += skip;
        behind - skip
    }

    pub fn take(&mut self, count: u64) {
        self.done += count;
    }

    /// The time at which the next one is due.
    pub fn next_ns(&self) -> u64 {
        let before = u128::from(self.done / self.together * self.together);
        let offset_ns = (before * 1_000_000_000).div_ceil(u128::from(self.rate));
        self.start_ns + offset_ns as u64
    }
}

struct Sent {
    sent: u64,
    failed: u64,
    first_ns: u64,
    last_ns: u64,
}

pub fn run(options: &SendOptions) -> Result<String> {
    process::watch_signals();
    process::precise_timers();
    let socket = open(options)?;
    println!("ready");
    std::io::stdout().flush()?;

    let start_ns = process::monotonic_ns();
    let mut pace = options.rate.map(|rate| Pace::new(start_ns, rate, options.burst, options.together));
    let sent = send_all(&socket, options, start_ns, &mut pace)?;
    Ok(format!(
        r#"{{"stream":{},"size_bytes":{},"sent":{},"failed":{},"skipped":{},"first_ns":{},"last_ns":{}}}"#,
        options.stream,
        options.size_bytes,
        sent.sent,
        sent.failed,
        pace.map_or(0, |pace| pace.skipped),
        sent.first_ns,
        sent.last_ns
    ))
}

fn open(options: &SendOptions) -> Result<UdpSocket> {
    let socket = socket::open(&options.to)?;
    if options.to.ip().is_multicast() {
        let index = options.interface.as_deref().map(socket::interface_index).transpose()?;
        socket::set_multicast_sending(&socket, &options.to, index, options.ttl)?;
    } else if let Some(name) = &options.interface {
        socket::bind_to_interface(&socket, name)?;
    }
    socket.connect(options.to)?;
    Ok(socket)
}

fn send_all(socket: &UdpSocket, options: &SendOptions, start_ns: u64, pace: &mut Option<Pace>) -> Result<Sent> {
    let mut batch = SendBatch::new(options.batch, options.size_bytes);
    (0..options.batch).for_each(|index| datagram::fill(batch.datagram(index)));
    let end_ns = options.duration.map_or(u64::MAX, |duration| start_ns + duration.as_nanos() as u64);
    let count = options.count.unwrap_or(u64::MAX);
    let mut result = Sent { sent: 0, failed: 0, first_ns: 0, last_ns: 0 };
    let mut sequence = 0;
    while sequence < count && !process::stopped() {
        let now_ns = process::monotonic_ns();
        if now_ns >= end_ns {
            break;
        }
        let due = pace.as_mut().map_or(u64::MAX, |pace| pace.due(now_ns));
        let wanted = due.min(options.batch as u64).min(count - sequence) as usize;
        if wanted == 0 {
            let next_ns = pace.as_ref().map_or(now_ns, Pace::next_ns);
            process::sleep_until(next_ns.min(end_ns));
            continue;
        }
        for index in 0..wanted {
            let header = Header { stream: options.stream, sequence: sequence + index as u64, sent_ns: now_ns };
            datagram::emit(header, batch.datagram(index));
        }
        let taken = send_batch(socket, &mut batch, wanted, &mut result)?;
        if result.first_ns == 0 {
            result.first_ns = now_ns;
        }
        result.last_ns = now_ns;
        sequence += taken as u64;
        if let Some(pace) = pace {
            pace.take(taken as u64);
        }
    }
    Ok(result)
}

/// Sends the first `wanted`; how many were tried. One that the kernel refuses is counted as failed and left behind.
fn send_batch(socket: &UdpSocket, batch: &mut SendBatch, wanted: usize, result: &mut Sent) -> Result<usize> {
    let mut tried = 0;
    while tried < wanted && !process::stopped() {
        match batch.send(socket, tried, wanted - tried) {
            Ok(taken) => {
                tried += taken;
                result.sent += taken as u64;
            }
            // Refused: the answer to an earlier datagram, not to this one.
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => {}
            Err(error) if is_passing(&error) => {
                tried += 1;
                result.failed += 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(tried)
}

/// Full queues and routes that come and go do not end a measurement.
fn is_passing(error: &std::io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOBUFS | libc::EHOSTUNREACH | libc::ENETUNREACH | libc::ENETDOWN | libc::ENODEV | libc::EPERM)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_pace_is_kept() {
        let mut pace = Pace::new(1_000, 1_000, 10, 1);
        assert_eq!(pace.due(1_000), 1);
        pace.take(1);
        assert_eq!((pace.due(1_000), pace.next_ns()), (0, 1_001_000));
        assert_eq!(pace.due(1_001_000), 1);
        assert_eq!(pace.due(4_001_000), 4);
        assert_eq!(pace.skipped, 0);
    }

    #[test]
    fn a_sender_that_was_held_up_skips_what_is_older_than_its_burst() {
        let mut pace = Pace::new(0, 1_000, 10, 1);
        assert_eq!(pace.due(99_000_000), 10);
        assert_eq!(pace.skipped, 90);
        pace.take(10);
        assert_eq!(pace.due(99_000_000), 0);
        assert_eq!(pace.next_ns(), 100_000_000);
    }

    #[test]
    fn some_are_due_together_at_the_same_pace() {
        let mut pace = Pace::new(0, 1_000, 256, 40);
        assert_eq!(pace.due(0), 40);
        pace.take(32);
        assert_eq!((pace.due(39_000_000), pace.next_ns()), (8, 0));
        pace.take(8);
        assert_eq!((pace.due(39_999_999), pace.next_ns()), (0, 40_000_000));
        assert_eq!(pace.due(40_000_000), 40);
        pace.take(40);
        assert_eq!((pace.due(200_000_000), pace.skipped), (160, 0));
    }

    #[test]
    fn the_next_is_due_when_it_is_said_to_be() {
        let mut pace = Pace::new(0, 333_333, 10, 1);
        for _ in 0..1000 {
            let next_ns = pace.next_ns();
            assert_eq!(pace.due(next_ns), 1, "{next_ns}");
            pace.take(1);
        }
    }
}
