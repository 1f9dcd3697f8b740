//! Which counters were seen: a sliding bitmap as in RFC 6479.

/// A window begins with so many words and doubles them as counters come that they have no room for: most sessions and streams
/// carry little.
const FIRST_WORDS: usize = 4;

/// `WORDS` words of 64 counters; the window is `(WORDS - 1) * 64` counters wide. Counters start at 1.
#[derive(Clone, Debug)]
pub struct ReplayWindow<const WORDS: usize> {
    highest: u64,
    /// The first words, as many as have room for all counters that came, at last all.
    seen: Box<[u64]>,
}

/// Sessions: 8,192 counters.
pub type SessionWindow = ReplayWindow<129>;
/// Keys of trees: 32,768 counters.
pub type TreeWindow = ReplayWindow<513>;

impl<const WORDS: usize> Default for ReplayWindow<WORDS> {
    fn default() -> Self {
        Self { highest: 0, seen: vec![0; FIRST_WORDS.min(WORDS)].into() }
    }
}

impl<const WORDS: usize> ReplayWindow<WORDS> {
    /// Width of the window in counters.
    pub const WIDTH: u64 = (WORDS as u64 - 1) * 64;

    /// The highest counter marked; 0 when none was.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// Would `counter` be new?
    pub fn is_fresh(&self, counter: u64) -> bool {
        if counter > self.highest {
            return true;
        }
        if counter == 0 || self.highest - counter >= Self::WIDTH {
            return false;
        }
        self.seen.get(Self::word(counter)).is_some_and(|word| word & Self::bit(counter) == 0)
    }

    /// Marks `counter`; false when it is not fresh. Call it only with authentic counters.
    pub fn mark(&mut self, counter: u64) -> bool {
        if !self.is_fresh(counter) {
            return false;
        }
        if counter > self.highest {
            self.grow(counter);
            let new_words = (counter / 64 - self.highest / 64).min(WORDS as u64);
            for step in 0..new_words {
                if let Some(word) = self.seen.get_mut(Self::word(counter - step * 64)) {
                    *word = 0;
                }
            }
            self.highest = counter;
        }
        if let Some(word) = self.seen.get_mut(Self::word(counter)) {
            *word |= Self::bit(counter);
        }
        true
    }

    /// Forgets the counters above one, which is the highest from now on. Those that are too low for the window by the highest one
    /// before are no more known.
    pub fn set_back(&mut self, highest: u64) {
        for counter in (highest.saturating_add(1)..=self.highest).take(WORDS * 64) {
            if let Some(word) = self.seen.get_mut(Self::word(counter)) {
                *word &= !Self::bit(counter);
            }
        }
        self.highest = self.highest.min(highest);
    }

    /// Makes room for a counter beyond the words there are, whose places are the same among more.
    fn grow(&mut self, counter: u64) {
        let needed = usize::try_from(counter / 64).map_or(WORDS, |word| word.saturating_add(1));
        if needed > self.seen.len() && self.seen.len() < WORDS {
            let mut more = vec![0; needed.checked_next_power_of_two().map_or(WORDS, |words| words.min(WORDS))];
            more[..self.seen.len()].copy_from_slice(&self.seen);
            self.seen = more.into();
        }
    }

    fn word(counter: u64) -> usize {
        (counter / 64 % WORDS as u64) as usize
    }

    fn bit(counter: u64) -> u64 {
        1 << (counter % 64)
    }
}
