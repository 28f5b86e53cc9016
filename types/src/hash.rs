//! PostgreSQL's hash of bytes: Bob Jenkins' lookup3 (2006, public domain) with PostgreSQL's start
//! values, the same on every machine. For functions that show hashes to clients, and for what
//! statements are known by; nothing is looked up by them here.

/// What the three words begin with besides the length.
const START: u32 = 0x9e37_79b9_u32.wrapping_add(3_923_095);

/// The words under way.
struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn new(length: usize, seed: u64) -> Self {
        // PostgreSQL's lengths are below 2^30.
        let start = START.wrapping_add(u32::try_from(length).unwrap_or(u32::MAX));
        let mut state = Self { a: start, b: start, c: start };
        if seed != 0 {
            state.a = state.a.wrapping_add((seed >> 32) as u32);
            state.b = state.b.wrapping_add(seed as u32);
            state.mix();
        }
        state
    }

    fn mix(&mut self) {
        let Self { a, b, c } = self;
        for (first, second) in [(4, 6), (16, 19)] {
            let third = if first == 4 { 8 } else { 4 };
            *a = a.wrapping_sub(*c) ^ c.rotate_left(first);
            *c = c.wrapping_add(*b);
            *b = b.wrapping_sub(*a) ^ a.rotate_left(second);
            *a = a.wrapping_add(*c);
            *c = c.wrapping_sub(*b) ^ b.rotate_left(third);
            *b = b.wrapping_add(*a);
        }
    }

    fn finish(mut self) -> u64 {
        let Self { a, b, c } = &mut self;
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(14));
        *a = (*a ^ *c).wrapping_sub(c.rotate_left(11));
        *b = (*b ^ *a).wrapping_sub(a.rotate_left(25));
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(16));
        *a = (*a ^ *c).wrapping_sub(c.rotate_left(4));
        *b = (*b ^ *a).wrapping_sub(a.rotate_left(14));
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(24));
        (u64::from(self.b) << 32) | u64::from(self.c)
    }
}

/// The 64-bit hash of bytes under a seed; without one, the lower half is the 32-bit hash.
#[must_use]
pub fn bytes(key: &[u8], seed: u64) -> u64 {
    let mut state = State::new(key.len(), seed);
    let mut blocks = key.chunks_exact(12);
    for block in &mut blocks {
        let [a, b, c] = words(block, 0);
        state.a = state.a.wrapping_add(a);
        state.b = state.b.wrapping_add(b);
        state.c = state.c.wrapping_add(c);
        state.mix();
    }
    // The lowest byte of the last word is the length's.
    let rest = blocks.remainder();
    let [a, b, c] = words(rest, 1);
    state.a = state.a.wrapping_add(a);
    state.b = state.b.wrapping_add(b);
    state.c = state.c.wrapping_add(c);
    state.finish()
}

/// Up to twelve bytes as three little-endian words, the third moved up by some bytes.
fn words(bytes: &[u8], third_shift: usize) -> [u32; 3] {
    let mut padded = [[0_u8; 4]; 3];
    for (at, byte) in bytes.iter().enumerate() {
        let (word, place) = (at / 4, at % 4);
        let place = if word == 2 { place + third_shift } else { place };
        if let Some(slot) = padded[word].get_mut(place) {
            *slot = *byte;
        }
    }
    padded.map(u32::from_le_bytes)
}

/// The 64-bit hash of a 32-bit number.
#[must_use]
pub fn number(key: u32, seed: u64) -> u64 {
    let mut state = State::new(4, seed);
    state.a = state.a.wrapping_add(key);
    state.finish()
}

/// The 64-bit hash of a 64-bit number, the same as that of a 32-bit one with its value.
#[must_use]
pub fn long(key: i64, seed: u64) -> u64 {
    let (low, high) = (key as u32, (key >> 32) as u32);
    number(low ^ if key >= 0 { high } else { !high }, seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_postgresqls() {
        let short = |hash: u64| (hash as u32).cast_signed();
        assert_eq!(short(number(1, 0)), -1_905_060_026);
        assert_eq!(short(long(-1, 0)), short(number(u32::MAX, 0)));
        assert_eq!(short(bytes(b"abc", 0)), -785_388_649);
        assert_eq!(short(bytes(b"a longer text, of more than twelve bytes", 0)), -887_503_599);
        assert_eq!(bytes(b"abc", 7).cast_signed(), 1_967_049_030_278_966_041);
    }
}
