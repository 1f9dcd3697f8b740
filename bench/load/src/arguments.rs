//! The command line, as typed options.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::datagram::HEADER_BYTES;

pub const LARGEST_BYTES: usize = 9216;
pub const LARGEST_BATCH: usize = 1024;

#[derive(Debug, PartialEq)]
pub enum Command {
    Send(SendOptions),
    Receive(ReceiveOptions),
}

#[derive(Debug, PartialEq)]
pub struct SendOptions {
    pub to: SocketAddr,
    pub interface: Option<String>,
    pub size_bytes: usize,
    /// Datagrams per second; none: as fast as the socket takes them.
    pub rate: Option<u64>,
    pub count: Option<u64>,
    pub duration: Option<Duration>,
    /// The most datagrams of one sendmmsg.
    pub batch: usize,
    /// How far behind its schedule the sender catches up, in datagrams; what is older is skipped and counted.
    pub burst: u64,
    /// Datagrams that are due at a time: a program that sends a picture's datagrams one after the other.
    pub together: u64,
    pub stream: u32,
    /// TTL or hop limit.
    pub ttl: i32,
}

#[derive(Debug, PartialEq)]
pub struct ReceiveOptions {
    pub on: SocketAddr,
    pub interface: Option<String>,
    /// Join for these sources only (RFC 3678); empty: any source.
    pub sources: Vec<IpAddr>,
    pub count: Option<u64>,
    pub duration: Option<Duration>,
    pub buffer_bytes: i32,
}

pub fn parse(words: &[String]) -> Result<Command, String> {
    let [verb, address, options @ ..] = words else {
        return Err("give send or recv, and ADDRESS:PORT".into());
    };
    let address: SocketAddr = value("ADDRESS:PORT", address)?;
    let pairs = pairs(options)?;
    match verb.as_str() {
        "send" => parse_send(address, &pairs).map(Command::Send),
        "recv" => parse_receive(address, &pairs).map(Command::Receive),
        other => Err(format!("{other} is neither send nor recv")),
    }
}

fn parse_send(to: SocketAddr, pairs: &[(&str, &str)]) -> Result<SendOptions, String> {
    let mut options = SendOptions {
        to,
        interface: None,
        size_bytes: 1200,
        rate: None,
        count: None,
        duration: None,
        batch: 32,
        burst: 256,
        together: 1,
        stream: 0,
        ttl: 4,
    };
    for (name, text) in pairs {
        match *name {
            "--interface" => options.interface = Some((*text).into()),
            "--size" => options.size_bytes = value(name, text)?,
            "--rate" => options.rate = Some(value(name, text)?),
            "--count" => options.count = Some(value(name, text)?),
            "--duration" => options.duration = Some(seconds(name, text)?),
            "--batch" => options.batch = value(name, text)?,
            "--burst" => options.burst = value(name, text)?,
            "--together" => options.together = value(name, text)?,
            "--stream" => options.stream = value(name, text)?,
            "--ttl" => options.ttl = value(name, text)?,
            other => return Err(format!("send has no option {other}")),
        }
    }
    if !(HEADER_BYTES..=LARGEST_BYTES).contains(&options.size_bytes) {
        return Err(format!("--size is {HEADER_BYTES} to {LARGEST_BYTES}"));
    }
    if !(1..=LARGEST_BATCH).contains(&options.batch) || options.rate == Some(0) {
        return Err(format!("--batch is 1 to {LARGEST_BATCH}, --rate at least 1"));
    }
    if options.together == 0 || options.burst < options.together {
        return Err("--together is at least 1, --burst at least as much".into());
    }
    Ok(options)
}

fn parse_receive(on: SocketAddr, pairs: &[(&str, &str)]) -> Result<ReceiveOptions, String> {
    let mut options =
        ReceiveOptions { on, interface: None, sources: Vec::new(), count: None, duration: None, buffer_bytes: 8 << 20 };
    for (name, text) in pairs {
        match *name {
            "--interface" => options.interface = Some((*text).into()),
            "--source" => options.sources.push(value(name, text)?),
            "--count" => options.count = Some(value(name, text)?),
            "--duration" => options.duration = Some(seconds(name, text)?),
            "--buffer" => options.buffer_bytes = value(name, text)?,
            other => return Err(format!("recv has no option {other}")),
        }
    }
    Ok(options)
}

fn pairs(words: &[String]) -> Result<Vec<(&str, &str)>, String> {
    words
        .chunks(2)
        .map(|chunk| match chunk {
            [name, text] => Ok((name.as_str(), text.as_str())),
            _ => Err(format!("{} needs a value", chunk[0])),
        })
        .collect()
}

fn value<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} does not fit {name}"))
}

fn seconds(name: &str, text: &str) -> Result<Duration, String> {
    Duration::try_from_secs_f64(value(name, text)?).map_err(|_| format!("{text:?} does not fit {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn options_of_send_are_read() {
        let parsed = parse(&words("send [ff05::1]:5000 --rate 1000 --duration 1.5 --size 24"));
        let Ok(Command::Send(options)) = parsed else { panic!("{parsed:?}") };
        assert_eq!(options.to, "[ff05::1]:5000".parse().unwrap());
        assert_eq!((options.rate, options.size_bytes), (Some(1000), 24));
        assert_eq!(options.duration, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn sources_of_recv_add_up() {
        let parsed = parse(&words("recv 232.1.1.1:5000 --source 10.0.0.1 --source 10.0.0.2"));
        let Ok(Command::Receive(options)) = parsed else { panic!("{parsed:?}") };
        assert_eq!(options.sources.len(), 2);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_a_sentence() {
        for line in [
            "",
            "send",
            "send 1.2.3.4",
            "fly 1.2.3.4:5",
            "send 1.2.3.4:5 --size 23",
            "send 1.2.3.4:5 --size 9217",
            "send 1.2.3.4:5 --rate 0",
            "send 1.2.3.4:5 --batch 0",
            "send 1.2.3.4:5 --together 0",
            "send 1.2.3.4:5 --together 30 --burst 29",
            "send 1.2.3.4:5 --duration -1",
            "send 1.2.3.4:5 --count",
            "recv 1.2.3.4:5 --rate 1",
        ] {
            assert!(parse(&words(line)).is_err(), "{line}");
        }
    }
}
