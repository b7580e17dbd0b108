//! Messages: what their kinds have in common, and the macro that makes one of a list of its fields.

use super::error::{DecodeError, NoRoomFor};
use super::header::{HEADER_BYTES, Header};

/// A kind of message. Made by [`sbe_message!`](crate::sbe_message).
pub trait Message: Sized {
    /// What it looks like where it lies.
    type View<'a>: Copy;

    /// The schema that it is of.
    const SCHEMA_ID: u16;

    /// Its number there.
    const TEMPLATE_ID: u16;

    /// A view of a block of this version.
    ///
    /// `None` if it is shorter than [`Self::block_bytes`] says; those who have asked the header never see it.
    fn view(block: &[u8], version: u16) -> Option<Self::View<'_>>;

    /// Writes it to the front of `to`, and says how many bytes that were.
    ///
    /// # Errors
    /// They do not fit; nothing is written.
    fn encode(&self, to: &mut [u8]) -> Result<usize, NoRoomFor>;

    /// How many bytes a block of this version has at least: that of a newer one than ours, as many as ours.
    fn block_bytes(version: u16) -> usize;
}

/// A view of the message at the front of `bytes`; what is behind it is not looked at.
///
/// # Errors
/// See [`DecodeError`]. Another schema is told before another message, that before the length of its block, and what is
/// missing last.
#[inline(always)]
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M::View<'_>, DecodeError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(insufficient(HEADER_BYTES + M::block_bytes(0), bytes));
    };
    let header = Header::read(header);
    header.check::<M>()?;
    rest.get(..header.block_length.into())
        .and_then(|block| M::view(block, header.version))
        .ok_or_else(|| insufficient(header.message_bytes(), bytes))
}

/// As [`decode`], of the message that begins at `offset`.
///
/// # Errors
/// As [`decode`]; where `offset` is behind the end, there are 0 bytes.
#[inline(always)]
pub fn decode_at<M: Message>(buffer: &[u8], offset: usize) -> Result<M::View<'_>, DecodeError> {
    decode::<M>(buffer.get(offset..).unwrap_or_default())
}

#[cold]
fn insufficient(expected: usize, bytes: &[u8]) -> DecodeError {
    DecodeError::Insufficient { expected, found: bytes.len() }
}

/// A message by its fields, in their order: the values as a struct, and a view that reads them where they lie. Fields that
/// were appended by a later version of the schema are `Option`s: absent in older messages, and null where they say nothing.
///
/// ```
/// use corewire_actors::sbe_message;
///
/// sbe_message! {
///     /// It is this warm there.
///     pub struct Reading / ReadingView: schema 7, template 1 {
///         /// Which thermometer.
///         sensor: u32,
///         celsius: f32,
///     }
///     since 2 {
///         humidity: u8,
///     }
/// }
///
/// let reading = Reading { sensor: 5, celsius: 21.5, humidity: Some(40) };
/// let mut room = [0; Reading::BYTES_MAX];
/// let bytes = reading.encode(&mut room)?;
/// assert_eq!(room[..bytes], [9, 0, 1, 0, 7, 0, 2, 0, 5, 0, 0, 0, 0, 0, 0xac, 0x41, 40]);
/// assert_eq!(Reading::decode(&room)?.humidity(), Some(40));
///
/// // It is written in the oldest version that can say it, so that who knows no newer one reads it too.
/// assert_eq!(Reading { humidity: None, ..reading }.encode(&mut room)?, 16);
/// assert_eq!(Reading::decode(&room)?.humidity(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What a type of a field must know is [`Field`](crate::sbe::Field); `u8` is a `char` too.
#[macro_export]
macro_rules! sbe_message {
    (
        $(#[$meta:meta])*
        $vis:vis struct $Name:ident / $View:ident: schema $schema:expr, template $template:literal {
            $( $(#[$field_meta:meta])* $field:ident: $type:ty ),* $(,)?
        }
        $( since $since:literal {
            $( $(#[$later_meta:meta])* $later:ident: $later_type:ty ),* $(,)?
        } )*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        $vis struct $Name {
            $( $(#[$field_meta])* #[allow(missing_docs, reason = "a name may say it all")] pub $field: $type, )*
            $($( $(#[$later_meta])* #[allow(missing_docs, reason = "a name may say it all")] pub $later: Option<$later_type>, )*)*
        }

        #[doc = concat!("A [`", stringify!($Name), "`] where it lies.")]
        #[derive(Clone, Copy)]
        $vis struct $View<'a> {
            /// The fields that it always has.
            block: &'a [u8; $Name::BLOCK_BYTES],
            /// What its version has appended, and we know.
            #[allow(dead_code, reason = "nothing reads it where no version appends anything")]
            appended: &'a [u8],
        }

        const _: () = {
            use $crate::sbe::{Batch, DecodeError, Field, HEADER_BYTES, Header, Message, NoRoomFor};

            /// Where the fields are: in this order, and bytes only, so there is nothing between them.
            #[repr(C)]
            #[allow(dead_code, reason = "only its offsets are asked for")]
            struct Layout {
                header: [u8; HEADER_BYTES],
                $( $field: [u8; <$type as Field>::BYTES], )*
                $($( $later: [u8; <$later_type as Field>::BYTES], )*)*
            }

            /// How many bytes a block of this version has.
            const fn block_bytes(version: u16) -> usize {
                let _ = version;
                $Name::BLOCK_BYTES $( + if version >= $since { 0 $( + <$later_type as Field>::BYTES )* } else { 0 } )*
            }

            /// What is before a message of this version.
            const fn header_of(version: u16) -> [u8; HEADER_BYTES] {
                let block_length = block_bytes(version) as u16;
                Header { block_length, template_id: $template, schema_id: $schema, version }.write()
            }

            impl $Name {
                /// Bytes of the fields that every version has.
                pub const BLOCK_BYTES: usize = 0 $( + <$type as Field>::BYTES )*;

                /// Bytes of a message that has only those, header and all.
                pub const BYTES: usize = HEADER_BYTES + Self::BLOCK_BYTES;

                /// Bytes of a message that has all fields.
                pub const BYTES_MAX: usize = size_of::<Layout>();

                /// A view of the message at the front of `bytes`; what is behind it is not looked at.
                ///
                /// # Errors
                /// What was expected, and what was found.
                #[inline(always)]
                pub fn decode(bytes: &[u8]) -> Result<$View<'_>, DecodeError> {
                    // A version that we know is known by its eight bytes.
                    if let Some((header, rest)) = bytes.split_first_chunk() {
                        if *header == const { header_of(0) }
                            && let Some(block) = rest.first_chunk()
                        {
                            return Ok($View { block, appended: &[] });
                        }
                        $( if *header == const { header_of($since) }
                            && let Some((block, rest)) = rest.split_first_chunk()
                            && let Some(appended) = rest.get(..const { block_bytes($since) - $Name::BLOCK_BYTES })
                        {
                            return Ok($View { block, appended });
                        } )*
                    }
                    $crate::sbe::decode::<Self>(bytes)
                }

                /// As [`Self::decode`], of the message that begins at `offset`.
                ///
                /// # Errors
                /// As [`Self::decode`].
                #[inline(always)]
                pub fn decode_at(buffer: &[u8], offset: usize) -> Result<$View<'_>, DecodeError> {
                    Self::decode(buffer.get(offset..).unwrap_or_default())
                }

                /// Messages that are packed back to back, all with the same header.
                ///
                /// # Errors
                /// As [`Self::decode`], of whichever of them it is.
                #[inline]
                pub fn batch(bytes: &[u8]) -> Result<Batch<'_, Self>, DecodeError> {
                    Batch::new(bytes)
                }

                /// The version in which it is written: the oldest that can say it.
                #[inline(always)]
                pub fn version(&self) -> u16 {
                    #[allow(unused_mut, reason = "where nothing was appended")]
                    let mut version = 0;
                    $( if false $( || self.$later.is_some() )* { version = $since; } )*
                    version
                }

                #[inline(always)]
                fn put(&self, version: u16, to: &mut [u8]) -> Result<usize, NoRoomFor> {
                    let (bytes, room_bytes) = (HEADER_BYTES + block_bytes(version), to.len());
                    let to = to.get_mut(..bytes).ok_or(NoRoomFor { bytes, room_bytes })?;
                    to[..HEADER_BYTES].copy_from_slice(&header_of(version));
                    $( self.$field.write(&mut to[std::mem::offset_of!(Layout, $field)..]); )*
                    $( if version >= $since { $(
                        let value = self.$later.unwrap_or(<$later_type as Field>::NULL);
                        value.write(&mut to[std::mem::offset_of!(Layout, $later)..]);
                    )* } )*
                    Ok(bytes)
                }

                /// How many bytes it is written in.
                #[inline(always)]
                pub fn encoded_bytes(&self) -> usize {
                    HEADER_BYTES + block_bytes(self.version())
                }

                /// Writes it to the front of `to`, and says how many bytes that were.
                ///
                /// # Errors
                /// They do not fit; nothing is written.
                #[inline(always)]
                pub fn encode(&self, to: &mut [u8]) -> Result<usize, NoRoomFor> {
                    Message::encode(self, to)
                }
            }

            impl Message for $Name {
                type View<'a> = $View<'a>;
                const SCHEMA_ID: u16 = $schema;
                const TEMPLATE_ID: u16 = $template;

                #[inline(always)]
                fn block_bytes(version: u16) -> usize {
                    block_bytes(version)
                }

                #[inline(always)]
                fn encode(&self, to: &mut [u8]) -> Result<usize, NoRoomFor> {
                    // Each with its lengths as constants.
                    match self.version() {
                        $( $since => self.put($since, to), )*
                        _ => self.put(0, to),
                    }
                }

                #[inline(always)]
                fn view(block: &[u8], version: u16) -> Option<$View<'_>> {
                    let (block, rest) = block.split_first_chunk()?;
                    let appended = rest.get(..block_bytes(version) - $Name::BLOCK_BYTES)?;
                    Some($View { block, appended })
                }
            }

            impl $View<'_> {
                $(
                    $(#[$field_meta])*
                    #[allow(missing_docs, reason = "a name may say it all")]
                    #[inline(always)]
                    pub fn $field(&self) -> $type {
                        const AT: usize = std::mem::offset_of!(Layout, $field) - HEADER_BYTES;
                        Field::read(&self.block[AT..])
                    }
                )*
                $($(
                    $(#[$later_meta])*
                    #[allow(missing_docs, reason = "a name may say it all")]
                    #[inline(always)]
                    pub fn $later(&self) -> Option<$later_type> {
                        const AT: usize = std::mem::offset_of!(Layout, $later) - $Name::BYTES;
                        const END: usize = AT + <$later_type as Field>::BYTES;
                        self.appended.get(AT..END).map(<$later_type as Field>::read).filter(|value| !value.is_null())
                    }
                )*)*

                /// Its values, for whoever must keep them.
                #[inline(always)]
                pub fn to_owned(&self) -> $Name {
                    $Name {
                        $( $field: self.$field(), )*
                        $($( $later: self.$later(), )*)*
                    }
                }
            }

            impl std::fmt::Debug for $View<'_> {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    self.to_owned().fmt(f)
                }
            }
        };
    };
}
