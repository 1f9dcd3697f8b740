//! Steps of a sender key: each 10 s the next is derived from the one before, which its root forgets (docs/protocol.md section 6).
//! Who is given a key so reads nothing that was sent more than 10 s before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;
use aws_lc_rs::hkdf::{Prk, HKDF_SHA256};
use zeroize::Zeroizing;

use crate::aead::{Aead, AeadKey, BadSeal};
use crate::reason::Reason;
use crate::session::lock;

/// A key steps so often.
pub const STEP_NS: u64 = 10_000_000_000;
/// A member derives steps that are at most so many ahead of its own clock's; more than a key makes in its hour.
const STEPS_AHEAD: u16 = 1024;
/// Steps beyond the next few are derived so often only: they cost more than a datagram should, and are needed only where
/// this machine slept.
const NEAR: u16 = 2;
const FAR_INTERVAL_NS: u64 = 100_000_000;
/// A member keeps the AEAD keys of so many steps under which something opened.
const STEPS_KEPT: usize = 3;

const NEXT: &[u8] = b"treecast sender key step";
const AEAD: &[u8] = b"treecast sender key aead";

/// HKDF-Expand with SHA-256 (RFC 5869).
fn derive(secret: &[u8; 32], info: &'static [u8]) -> Result<Zeroizing<[u8; 32]>, BadSeal> {
    let mut out = Zeroizing::new([0; 32]);
    let key = Prk::new_less_safe(HKDF_SHA256, secret);
    key.expand(&[info], HKDF_SHA256).and_then(|key| key.fill(&mut *out)).map_err(|_| BadSeal)?;
    Ok(out)
}

/// How many steps are made from one time to another.
fn steps_between(from_ns: u64, to_ns: u64) -> u16 {
    u16::try_from(to_ns.saturating_sub(from_ns) / STEP_NS).unwrap_or(u16::MAX)
}

/// The secret of a step, from which its AEAD key and all later steps are derived.
#[derive(Clone)]
pub(crate) struct StepSecret {
    pub(crate) number: u16,
    pub(crate) aead: Aead,
    pub(crate) secret: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for StepSecret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "StepSecret({})", self.number)
    }
}

impl StepSecret {
    /// The secret of a later step.
    fn later(&self, number: u16) -> Result<Self, BadSeal> {
        let mut secret = self.secret.clone();
        for _ in self.number..number {
            secret = derive(&secret, NEXT)?;
        }
        Ok(Self { number, aead: self.aead, secret })
    }

    fn is(&self, other: &Self) -> bool {
        let (own, others) = (self.secret.as_slice(), other.secret.as_slice());
        self.aead == other.aead && aws_lc_rs::constant_time::verify_slices_are_equal(own, others).is_ok()
    }

    fn aead_key(&self) -> Result<AeadKey, BadSeal> {
        AeadKey::new(self.aead, &*derive(&self.secret, AEAD)?)
    }
}

/// A step that its root seals with.
#[derive(Debug)]
pub(crate) struct RootStep {
    pub(crate) secret: StepSecret,
    /// Made with its first datagram: it is ten times as large as all else, and most streams that somebody joins have no sender.
    key: OnceLock<Box<AeadKey>>,
}

impl RootStep {
    fn new(secret: StepSecret) -> Self {
        Self { secret, key: OnceLock::new() }
    }

    /// The key. Where several threads make it at once, one is kept; they are the same.
    pub(crate) fn key(&self) -> Result<&AeadKey, BadSeal> {
        match self.key.get() {
            Some(key) => Ok(key),
            None => self.secret.aead_key().map(|key| &**self.key.get_or_init(|| Box::new(key))),
        }
    }

    /// Has something been sealed with it?
    pub(crate) fn is_used(&self) -> bool {
        self.key.get().is_some()
    }
}

/// A sender key at its root: it steps as time goes.
#[derive(Debug)]
pub(crate) struct RootSteps {
    /// 0: nothing was sealed or offered yet.
    begun_ns: AtomicU64,
    /// The time at which the next step is due.
    due_ns: AtomicU64,
    pub(crate) current: ArcSwap<RootStep>,
}

impl RootSteps {
    pub(crate) fn new(aead: Aead, secret: Zeroizing<[u8; 32]>) -> Self {
        let first = RootStep::new(StepSecret { number: 0, aead, secret });
        Self { begun_ns: AtomicU64::new(0), due_ns: AtomicU64::new(0), current: ArcSwap::from_pointee(first) }
    }

    /// Takes the step that is due.
    pub(crate) fn advance(&self, now_ns: u64) {
        if now_ns < self.due_ns.load(Ordering::Relaxed) {
            return;
        }
        let begun_ns = match self.begun_ns.load(Ordering::Relaxed) {
            0 => self.begin(now_ns.max(1)),
            begun_ns => begun_ns,
        };
        let due = steps_between(begun_ns, now_ns);
        if self.current.load().secret.number < due {
            self.current.rcu(|current| {
                let later = (current.secret.number < due).then(|| current.secret.later(due).map(RootStep::new));
                later.and_then(Result::ok).map_or_else(|| current.clone(), Arc::new)
            });
        }
        let next = u64::from(self.current.load().secret.number) + 1;
        self.due_ns.fetch_max(begun_ns + next * STEP_NS, Ordering::Relaxed);
    }

    fn begin(&self, now_ns: u64) -> u64 {
        let relaxed = Ordering::Relaxed;
        self.begun_ns.compare_exchange(0, now_ns, relaxed, relaxed).map_or_else(|begun_ns| begun_ns, |_| now_ns)
    }
}

/// The earliest step that a member can open, and when the root reported that it had come so far.
#[derive(Debug)]
struct Earliest {
    secret: StepSecret,
    since_ns: u64,
}

impl Earliest {
    /// The step that the root is at by now, at least.
    fn least(&self, now_ns: u64) -> u16 {
        self.secret.number.saturating_add(steps_between(self.since_ns, now_ns))
    }

    /// Forgets steps that were over more than one step ago. No datagram moves this, as members could make those of any later step.
    fn advance(&mut self, now_ns: u64) -> Result<(), BadSeal> {
        let earliest = self.least(now_ns).saturating_sub(1);
        if earliest > self.secret.number {
            self.since_ns += STEP_NS * u64::from(earliest - self.secret.number);
            self.secret = self.secret.later(earliest)?;
        }
        Ok(())
    }
}

type Opener = (u16, Arc<AeadKey>);

/// A sender key at a member. The steps of datagrams are opened as they come, in any order.
#[derive(Debug)]
pub(crate) struct MemberSteps {
    /// The latest steps under which something opened.
    kept: ArcSwap<[Option<Opener>; STEPS_KEPT]>,
    earliest: Mutex<Earliest>,
    far_ns: AtomicU64,
}

impl MemberSteps {
    pub(crate) fn new(secret: StepSecret, now_ns: u64) -> Self {
        let earliest = Mutex::new(Earliest { secret, since_ns: now_ns });
        Self { kept: ArcSwap::default(), earliest, far_ns: AtomicU64::new(0) }
    }

    /// Could the root have come to this step with the key that is known? Another run may have had a key of this id.
    pub(crate) fn continue_to(&self, step: &StepSecret) -> bool {
        let earliest = lock(&self.earliest);
        let known = &earliest.secret;
        match step.number.checked_sub(known.number) {
            None => known.aead == step.aead,
            Some(ahead) if ahead > STEPS_AHEAD => false,
            Some(_) => known.later(step.number).is_ok_and(|later| later.is(step)),
        }
    }

    /// Takes the root's word that it has come to this step.
    pub(crate) fn raise(&self, secret: StepSecret, now_ns: u64) {
        let mut earliest = lock(&self.earliest);
        if secret.number > earliest.least(now_ns) {
            *earliest = Earliest { secret, since_ns: now_ns };
        }
    }

    /// Opens what was sealed at this step, by `open`.
    pub(crate) fn open<T>(
        &self,
        number: u16,
        now_ns: u64,
        open: impl FnOnce(&AeadKey) -> Result<T, BadSeal>,
    ) -> Result<T, Reason> {
        let kept = self.kept.load();
        if let Some((_, key)) = kept.iter().flatten().find(|(step, _)| *step == number) {
            return open(key).map_err(|_| Reason::TreeAuth);
        }
        let key = self.derive(number, now_ns)?;
        let opened = open(&key).map_err(|_| Reason::TreeAuth)?;
        let [first, second, _] = (**kept).clone();
        self.kept.store(Arc::new([Some((number, Arc::new(key))), first, second]));
        Ok(opened)
    }

    fn derive(&self, number: u16, now_ns: u64) -> Result<AeadKey, Reason> {
        let mut earliest = lock(&self.earliest);
        earliest.advance(now_ns).map_err(|_| Reason::TreeStep)?;
        let ahead = number.saturating_sub(earliest.least(now_ns));
        let far = ahead > NEAR && (ahead > STEPS_AHEAD || !self.may_go_far(now_ns));
        if far || number < earliest.secret.number {
            return Err(Reason::TreeStep);
        }
        earliest.secret.later(number).and_then(|step| step.aead_key()).map_err(|_| Reason::TreeStep)
    }

    fn may_go_far(&self, now_ns: u64) -> bool {
        let last_ns = self.far_ns.load(Ordering::Relaxed);
        let waited = last_ns == 0 || now_ns.saturating_sub(last_ns) >= FAR_INTERVAL_NS;
        if waited {
            self.far_ns.store(now_ns.max(1), Ordering::Relaxed);
        }
        waited
    }
}
