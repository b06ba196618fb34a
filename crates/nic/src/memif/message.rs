//! The messages of the control channel, version 2.0 (`memif.h` of VPP and of DPDK): 128 bytes each, whole, in the byte order
//! of the host that both ends are on.
//!
//! ```text
//!   0      2                                                            128
//!   ├──────┼───────────────────────────────────────────────────────────┤
//!   │ type │ fields, packed, then zeros                                 │
//!   └──────┴───────────────────────────────────────────────────────────┘
//! ```
//!
//! Nothing of what a peer has written is taken for more than bytes: names end at the first zero or at their field's end,
//! and a type that is not in the list is [`Unknown`].

/// How many bytes a message has.
pub(super) const MESSAGE_SIZE: usize = 128;

/// The version that is spoken, 2.0, and the only one there is.
pub(super) const VERSION: u16 = 2 << 8;

/// Interfaces that carry Ethernet frames; the others carry IP packets or a switch's own.
pub(super) const MODE_ETHERNET: u8 = 0;

/// What an endpoint is called: at most 32 bytes.
pub(super) type Name = [u8; 32];
/// What both endpoints must know, if one of them asks for it.
pub(super) type Secret = [u8; 24];

/// What a server says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) name: Name,
    pub(super) version_min: u16,
    pub(super) version_max: u16,
    pub(super) region_max: u16,
    /// The largest index of a ring towards the client (M2S).
    pub(super) to_client_max: u16,
    /// The largest index of a ring towards the server (S2M).
    pub(super) to_server_max: u16,
    pub(super) ring_size_log2_max: u8,
}

/// What a client answers: which of the server's interfaces it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Init {
    pub(super) version: u16,
    pub(super) id: u32,
    pub(super) mode: u8,
    pub(super) secret: Secret,
    pub(super) name: Name,
}

/// Where a ring lies. Its event descriptor comes with the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddRing {
    pub(super) direction: Direction,
    pub(super) index: u16,
    pub(super) region: u16,
    pub(super) offset: u32,
    pub(super) size_log2: u8,
    pub(super) private_size: u16,
}

/// Which way the packets of a ring go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// S2M, or C2S.
    ToServer,
    /// M2S, or S2C.
    ToClient,
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Ack,
    Hello(Hello),
    Init(Init),
    /// Its memory comes with it.
    AddRegion {
        index: u16,
        size: u64,
    },
    AddRing(AddRing),
    Connect(Name),
    Connected(Name),
    Disconnect {
        code: u32,
        why: [u8; 96],
    },
}

/// A type that no message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown(pub(super) u16);

/// The flag of a ring towards the server.
const TO_SERVER: u16 = 1;

impl Message {
    /// A farewell that says why.
    pub(super) fn disconnect(why: &str) -> Self {
        Self::Disconnect { code: 0, why: text(why) }
    }

    /// The bytes of the message.
    pub(super) fn encode(&self) -> [u8; MESSAGE_SIZE] {
        let mut out = Fields { bytes: [0; MESSAGE_SIZE], at: 0 };
        out.put(self.kind().to_ne_bytes());
        match self {
            Self::Ack => {}
            Self::Hello(hello) => {
                out.put(hello.name);
                for word in [hello.version_min, hello.version_max, hello.region_max] {
                    out.put(word.to_ne_bytes());
                }
                out.put(hello.to_client_max.to_ne_bytes());
                out.put(hello.to_server_max.to_ne_bytes());
                out.put([hello.ring_size_log2_max]);
            }
            Self::Init(init) => {
                out.put(init.version.to_ne_bytes());
                out.put(init.id.to_ne_bytes());
                out.put([init.mode]);
                out.put(init.secret);
                out.put(init.name);
            }
            Self::AddRegion { index, size } => {
                out.put(index.to_ne_bytes());
                out.put(size.to_ne_bytes());
            }
            Self::AddRing(ring) => {
                let flags = if ring.direction == Direction::ToServer { TO_SERVER } else { 0 };
                for word in [flags, ring.index, ring.region] {
                    out.put(word.to_ne_bytes());
                }
                out.put(ring.offset.to_ne_bytes());
                out.put([ring.size_log2]);
                out.put(ring.private_size.to_ne_bytes());
            }
            Self::Connect(name) | Self::Connected(name) => out.put(*name),
            Self::Disconnect { code, why } => {
                out.put(code.to_ne_bytes());
                out.put(*why);
            }
        }
        out.bytes
    }

    /// The message of these bytes.
    pub(super) fn decode(bytes: &[u8; MESSAGE_SIZE]) -> Result<Self, Unknown> {
        let mut fields = Fields { bytes: *bytes, at: 0 };
        let kind = fields.u16();
        Ok(match kind {
            1 => Self::Ack,
            2 => Self::Hello(Hello {
                name: fields.take(),
                version_min: fields.u16(),
                version_max: fields.u16(),
                region_max: fields.u16(),
                to_client_max: fields.u16(),
                to_server_max: fields.u16(),
                ring_size_log2_max: fields.u8(),
            }),
            3 => Self::Init(Init {
                version: fields.u16(),
                id: fields.u32(),
                mode: fields.u8(),
                secret: fields.take(),
                name: fields.take(),
            }),
            4 => Self::AddRegion { index: fields.u16(), size: u64::from_ne_bytes(fields.take()) },
            5 => {
                let direction =
                    if fields.u16() & TO_SERVER == 0 { Direction::ToClient } else { Direction::ToServer };
                Self::AddRing(AddRing {
                    direction,
                    index: fields.u16(),
                    region: fields.u16(),
                    offset: fields.u32(),
                    size_log2: fields.u8(),
                    private_size: fields.u16(),
                })
            }
            6 => Self::Connect(fields.take()),
            7 => Self::Connected(fields.take()),
            8 => Self::Disconnect { code: fields.u32(), why: fields.take() },
            other => return Err(Unknown(other)),
        })
    }

    const fn kind(&self) -> u16 {
        match self {
            Self::Ack => 1,
            Self::Hello(_) => 2,
            Self::Init(_) => 3,
            Self::AddRegion { .. } => 4,
            Self::AddRing(_) => 5,
            Self::Connect(_) => 6,
            Self::Connected(_) => 7,
            Self::Disconnect { .. } => 8,
        }
    }
}

/// As much of `words` as fits in front of a zero, with zeros behind it.
pub(super) fn text<const SIZE: usize>(words: &str) -> [u8; SIZE] {
    let mut field = [0; SIZE];
    for (to, from) in field.iter_mut().take(SIZE - 1).zip(words.bytes()) {
        *to = from;
    }
    field
}

/// What a peer has written into a field for people to read, made harmless: to its first zero, printable ASCII only.
pub(super) fn readable(field: &[u8]) -> String {
    let written = field.split(|&byte| byte == 0).next().unwrap_or_default();
    written.iter().map(|&byte| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '?' }).collect()
}

/// Bytes, and how far they have been read or written.
struct Fields {
    bytes: [u8; MESSAGE_SIZE],
    at: usize,
}

impl Fields {
    fn put<const SIZE: usize>(&mut self, field: [u8; SIZE]) {
        if let Some(room) = self.bytes.get_mut(self.at..self.at + SIZE) {
            room.copy_from_slice(&field);
        }
        self.at += SIZE;
    }

    fn take<const SIZE: usize>(&mut self) -> [u8; SIZE] {
        let field = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()).copied();
        self.at += SIZE;
        field.unwrap_or([0; SIZE])
    }

    fn u8(&mut self) -> u8 {
        u8::from_ne_bytes(self.take())
    }

    fn u16(&mut self) -> u16 {
        u16::from_ne_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_message() -> Vec<Message> {
        let hello = Hello {
            name: text("DPDK 22.11.11"),
            version_min: VERSION,
            version_max: VERSION,
            region_max: 255,
            to_client_max: 254,
            to_server_max: 253,
            ring_size_log2_max: 14,
        };
        let init =
            Init { version: VERSION, id: 0x0102_0304, mode: 0, secret: text("secret"), name: text("peer") };
        let ring = AddRing {
            direction: Direction::ToServer,
            index: 1,
            region: 2,
            offset: 0x0304_0506,
            size_log2: 10,
            private_size: 0,
        };
        vec![
            Message::Ack,
            Message::Hello(hello),
            Message::Init(init),
            Message::AddRegion { index: 3, size: 0x0102_0304_0506_0708 },
            Message::AddRing(ring),
            Message::AddRing(AddRing { direction: Direction::ToClient, ..ring }),
            Message::Connect(text("memif0/0")),
            Message::Connected(text("memif1/1")),
            Message::disconnect("Incorrect secret"),
        ]
    }

    #[test]
    fn every_message_is_read_as_it_was_written() {
        for message in every_message() {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    /// The offsets of VPP's and DPDK's `memif_msg_t`, which is packed.
    #[test]
    #[cfg(target_endian = "little")]
    fn fields_stand_where_the_protocols_own_header_has_them() {
        let bytes = |index: usize| every_message()[index].encode();
        assert_eq!(bytes(1)[..2], [2, 0]);
        assert_eq!(bytes(1)[2..6], *b"DPDK");
        assert_eq!(bytes(1)[34..45], [0, 2, 0, 2, 255, 0, 254, 0, 253, 0, 14]);
        assert_eq!(bytes(2)[2..9], [0, 2, 4, 3, 2, 1, 0]);
        assert_eq!((&bytes(2)[9..15], &bytes(2)[33..37]), (&b"secret"[..], &b"peer"[..]));
        assert_eq!(bytes(3)[2..12], [3, 0, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(bytes(4)[2..15], [1, 0, 1, 0, 2, 0, 6, 5, 4, 3, 10, 0, 0]);
        assert_eq!(bytes(8)[..22], *b"\x08\0\0\0\0\0Incorrect secret");
    }

    #[test]
    fn a_type_that_there_is_not_is_refused_and_texts_are_made_harmless() {
        let mut bytes = [0xff; MESSAGE_SIZE];
        assert_eq!(Message::decode(&bytes), Err(Unknown(0xffff)));
        bytes[..2].copy_from_slice(&8_u16.to_ne_bytes());
        let Ok(Message::Disconnect { why, .. }) = Message::decode(&bytes) else { panic!() };
        assert_eq!(readable(&why), "?".repeat(96));
        assert_eq!(readable(b"a\x1b[2J\0b"), "a?[2J");
        assert_eq!(text::<4>("longer"), *b"lon\0");
    }
}
