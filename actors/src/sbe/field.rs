//! Fields: numbers and enums of a fixed length, little endian, at any address.

/// What a message may have as a field.
///
/// An enum of one's own is one by a few lines; a value that a newer schema has added must have a place:
///
/// ```
/// use corewire_actors::sbe::Field;
///
/// #[derive(Debug, Clone, Copy, PartialEq)]
/// enum State { Open, Halted, Other(u8) }
///
/// impl Field for State {
///     const BYTES: usize = 1;
///     const NULL: Self = Self::Other(255);
///     fn read(bytes: &[u8]) -> Self {
///         match u8::read(bytes) {
///             0 => Self::Open,
///             1 => Self::Halted,
///             other => Self::Other(other),
///         }
///     }
///     fn write(self, to: &mut [u8]) {
///         let byte = match self { Self::Open => 0, Self::Halted => 1, Self::Other(other) => other };
///         byte.write(to);
///     }
///     fn is_null(self) -> bool { self == Self::NULL }
/// }
/// ```
pub trait Field: Copy {
    /// How many bytes it has.
    const BYTES: usize;

    /// What stands for nothing in a field that is optional (SBE 1.0, "Null values").
    const NULL: Self;

    /// Reads it from the front of `bytes`, of which there are [`Self::BYTES`] at least.
    fn read(bytes: &[u8]) -> Self;

    /// Writes it to the front of `to`, which has [`Self::BYTES`] at least.
    fn write(self, to: &mut [u8]);

    /// Whether it stands for nothing.
    fn is_null(self) -> bool;
}

macro_rules! numbers {
    ($($number:ty = $null:expr, $is_null:expr;)*) => {$(
        impl Field for $number {
            const BYTES: usize = size_of::<Self>();
            const NULL: Self = $null;

            #[inline(always)]
            fn read(bytes: &[u8]) -> Self {
                // Who calls has looked; where the length is known when it is compiled, nothing is left of the test.
                bytes.first_chunk().map_or(Self::NULL, |bytes| Self::from_le_bytes(*bytes))
            }

            #[inline(always)]
            fn write(self, to: &mut [u8]) {
                if let Some(to) = to.first_chunk_mut() {
                    *to = self.to_le_bytes();
                }
            }

            #[inline(always)]
            fn is_null(self) -> bool {
                $is_null(self)
            }
        }
    )*};
}

// As SBE 1.0 has it. A char is a u8 here, and its null is 0: an optional one wants a type of its own.
numbers! {
    u8 = Self::MAX, |n| n == Self::MAX;
    u16 = Self::MAX, |n| n == Self::MAX;
    u32 = Self::MAX, |n| n == Self::MAX;
    u64 = Self::MAX, |n| n == Self::MAX;
    i8 = Self::MIN, |n| n == Self::MIN;
    i16 = Self::MIN, |n| n == Self::MIN;
    i32 = Self::MIN, |n| n == Self::MIN;
    i64 = Self::MIN, |n| n == Self::MIN;
    f32 = Self::NAN, Self::is_nan;
    f64 = Self::NAN, Self::is_nan;
}
