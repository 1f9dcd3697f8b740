//! The path to a node that sends from many addresses, step by step. A vector for the model.

use serde_json::Value;

use crate::common::*;
use treecast_core::path::{Endpoint, Path, ProbedVia};

/// A node that is heard from seven addresses: each step as `milliseconds what address number result`.
pub(crate) fn steps() -> Value {
    let path = Path::new(endpoint(1), 0);
    let (mut random, mut at_ms, mut moves) = (1u64, 0u64, 0u32);
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let step = |number: u64| {
        at_ms += 125 * next(4);
        let (what, address, bytes) = (next(24), 1 + next(7) as u8, 36 + next(1200));
        let to = endpoint(address);
        let (what, amount, result) = match what {
            0..8 if to != path.endpoint() => {
                ("heard", bytes, u64::from(path.receive(to, bytes as usize, at_ms * 1_000_000)))
            }
            0..12 => ("send", bytes, u64::from(path.may_send(to, bytes as usize))),
            12 | 13 => {
                path.challenge(to, number);
                ("challenge", number, 0)
            }
            14 => {
                let value = number.saturating_sub(next(6));
                ("answer", value, path.answered(value).map_or(0, |there| last_octet(there).into()))
            }
            15 => {
                moves += 1;
                ("set", 0, last_octet(path.set(to, at_ms * 1_000_000)).into())
            }
            16..19 => {
                path.turn(false);
                ("turn", 0, path.unanswered().0.into())
            }
            19..22 => ("from", 0, u64::from(path.is_from(&to.address, at_ms * 1_000_000))),
            22 => {
                path.validate(to.address, at_ms * 1_000_000);
                ("prove", 0, 0)
            }
            _ => {
                let then = moves.saturating_sub(next(2) as u32);
                path.probe_answered(ProbedVia::Path(then), at_ms * 1_000_000);
                ("reply", then.into(), path.unanswered().0.into())
            }
        };
        format!("{at_ms} {what} {address} {amount} {result}")
    };
    (1..=600).map(step).collect()
}

fn last_octet(endpoint: Endpoint) -> u8 {
    match endpoint.address.ip() {
        std::net::IpAddr::V4(address) => address.octets()[3],
        std::net::IpAddr::V6(_) => 0,
    }
}
