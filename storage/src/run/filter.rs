//! A Bloom filter over the keys of one block: ten bits a key and seven probes, so that about one key
//! in a hundred that the block does not hold passes. The probes derive from one 32-bit hash by
//! double hashing (Kirsch and Mitzenmacher, 2006).

use crate::TreeId;

const BITS_PER_KEY: usize = 10;
const PROBES: u32 = 7;
const BITS_MIN: usize = 64;

/// The bits; none lets every key pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter(Box<[u8]>);

/// The hash of a key. It is part of the format of run files.
pub(crate) fn hash(tree: TreeId, key: &[u8]) -> u32 {
    let mut mixed = crc32c::crc32c_append(crc32c::crc32c(&tree.0.to_le_bytes()), key);
    // A CRC is linear: the finalizer of MurmurHash3 makes its bits independent of one another.
    mixed ^= mixed >> 16;
    mixed = mixed.wrapping_mul(0x85EB_CA6B);
    mixed ^= mixed >> 13;
    mixed = mixed.wrapping_mul(0xC2B2_AE35);
    mixed ^ (mixed >> 16)
}

impl Filter {
    /// The filter of these hashes.
    pub(super) fn new(hashes: &[u32]) -> Self {
        let bits = (hashes.len() * BITS_PER_KEY).max(BITS_MIN);
        let mut bytes = vec![0; bits.div_ceil(8)].into_boxed_slice();
        for hash in hashes {
            for bit in probes(*hash, bytes.len()) {
                bytes[bit / 8] |= 1 << (bit % 8);
            }
        }
        Self(bytes)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a key of this hash may be among them.
    pub(super) fn may_hold(&self, hash: u32) -> bool {
        self.0.is_empty()
            || probes(hash, self.0.len()).all(|bit| self.0[bit / 8] & (1 << (bit % 8)) != 0)
    }
}

/// The bits that a hash sets in a filter of so many bytes, which is not 0.
fn probes(hash: u32, bytes: usize) -> impl Iterator<Item = usize> {
    let step = hash.rotate_right(17) | 1;
    (0..PROBES).map(move |probe| hash.wrapping_add(step.wrapping_mul(probe)) as usize % (bytes * 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_passes_and_most_of_the_rest_does_not() {
        let hash_of = |n: u64| hash(TreeId(7), &n.to_be_bytes());
        let hashes: Vec<u32> = (0..300).map(hash_of).collect();
        let filter = Filter::from_bytes(Filter::new(&hashes).as_bytes());
        assert!(hashes.iter().all(|hash| filter.may_hold(*hash)));
        let passing = (300..10_300).filter(|n| filter.may_hold(hash_of(*n))).count();
        assert!(passing < 300, "{passing} of 10,000 keys pass");
        assert!(Filter::default().may_hold(1));
    }
}
