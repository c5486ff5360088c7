//! The one source of chance: everything random in a simulation comes from its seed, through here.

/// A small generator (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed ^ 0x5851_f42d_4c95_7f2d);
        random.next();
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `limit`; 0 when that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let wide = u128::from(self.next()) * u128::try_from(limit).unwrap();
        usize::try_from(wide >> 64).unwrap()
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = usize::try_from(high - low + 1).unwrap();
        low + i64::try_from(self.below(span)).unwrap()
    }

    /// True this many times in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < per_mille as usize
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> Option<&'t T> {
        let at = self.below(from.len());
        from.get(at)
    }

    /// One of them, as often as its weight says; `None` when all weights are 0.
    pub fn weighed<T: Copy>(&mut self, from: &[(u32, T)]) -> Option<T> {
        let all: u32 = from.iter().map(|(w, _)| w).sum();
        let mut left = u32::try_from(self.below(all as usize)).unwrap();
        from.iter().find_map(|(weight, what)| {
            if left < *weight {
                return Some(*what);
            }
            left -= weight;
            None
        })
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An id of 40 hexadecimal digits that follows from these parts, as git's do from an object.
pub fn id_of(parts: &[&str]) -> String {
    let (mut a, mut b) = (0xcbf2_9ce4_8422_2325_u64, 0x6c62_272e_07bb_0142_u64);
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            a = (a ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            b = (b ^ u64::from(byte))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(23);
        }
    }
    let (a, b) = (mix(a), mix(b));
    format!("{a:016x}{b:016x}{:08x}", mix(a ^ b) >> 32)
}
