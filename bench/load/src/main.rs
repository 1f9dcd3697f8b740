//! Sends and receives measured UDP streams.
//!
//! ```text
//! treecast-load send ADDRESS:PORT [--interface NAME] [--size BYTES] [--rate PER_S] [--count N] [--duration S] ...
//! treecast-load recv ADDRESS:PORT [--interface NAME] [--source ADDRESS]... [--count N] [--duration S] ...
//! ```
//!
//! Both print `ready` when they can send or have joined, and one line of JSON when they end: at the count, at the
//! duration, on SIGTERM or SIGINT. SIGUSR1 makes a receiver print the same line of what it has so far.
//! Times are CLOCK_MONOTONIC in nanoseconds, the same in all network namespaces of a machine.

mod arguments;
mod datagram;
mod histogram;
mod process;
mod receive;
mod send;
mod socket;
mod stream;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments::parse(&words) {
        Ok(arguments::Command::Send(options)) => send::run(&options),
        Ok(arguments::Command::Receive(options)) => receive::run(&options),
        Err(sentence) => {
            eprintln!("treecast-load: {sentence}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("treecast-load: {error}");
            ExitCode::FAILURE
        }
    }
}
