//! Choices made by bytes.

/// The bytes that are left. Where there are none, every choice is the first one.
pub(super) struct Source<'a> {
    left: &'a [u8],
}

impl<'a> Source<'a> {
    pub(super) fn new(left: &'a [u8]) -> Self {
        Self { left }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, left)) = self.left.split_first() else {
            return 0;
        };
        self.left = left;
        *first
    }

    /// At most `count` bytes.
    pub(super) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (first, left) = self.left.split_at(count.min(self.left.len()));
        self.left = left;
        first
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    /// Whether the next byte is one of the few: about one in `of`.
    pub(super) fn rarely(&mut self, of: u8) -> bool {
        self.byte() % of == of - 1
    }

    pub(super) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// A number, or one of those around which things break.
    pub(super) fn number(&mut self) -> u64 {
        const ODD: &[u64] = &[
            0,
            1,
            2,
            3,
            999,
            1_000,
            10_000,
            60_000,
            3_600_000,
            86_400_000,
            87_065_999,
            87_066_000,
            90_000_000,
            (1 << 53) - 1,
            1 << 53,
            u64::MAX,
        ];
        if self.rarely(8) {
            let mut bytes = [0; 8];
            for byte in &mut bytes {
                *byte = self.byte();
            }
            return u64::from_le_bytes(bytes);
        }
        self.pick(ODD)
    }
}
