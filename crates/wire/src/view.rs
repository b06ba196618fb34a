//! How a header is laid over the bytes of a packet: the same two functions for every header.

/// Gives a wire struct its size, checked at compile time, and the two ways to lay it over a packet.
///
/// The struct must derive zerocopy's `FromBytes`, `IntoBytes`, `KnownLayout`, `Immutable` and `Unaligned`. Together
/// these prove that any bytes at any address are a valid value of it, so that a view is a length check and nothing
/// else.
macro_rules! view {
    ($name:ident, $len:literal) => {
        const _: () = assert!(size_of::<$name>() == $len);

        impl $name {
            #[doc = concat!("How many bytes it has on the wire: ", stringify!($len), ".")]
            pub const LEN: usize = $len;

            /// The same, in the type that offsets within a packet are kept in.
            #[allow(dead_code, reason = "not every header stands in front of another")]
            pub(crate) const LEN_U16: u16 = $len;

            /// The header that begins at `offset`, or nothing where the bytes end before it does.
            #[inline(always)]
            pub fn of(bytes: &[u8], offset: usize) -> Option<&Self> {
                let (view, _) = zerocopy::FromBytes::ref_from_prefix(bytes.get(offset..)?).ok()?;
                Some(view)
            }

            /// The header that begins at `offset`, to be written to, or nothing where the room ends before it does.
            #[inline(always)]
            pub fn of_mut(room: &mut [u8], offset: usize) -> Option<&mut Self> {
                let (view, _) = zerocopy::FromBytes::mut_from_prefix(room.get_mut(offset..)?).ok()?;
                Some(view)
            }
        }
    };
}

pub(crate) use view;
