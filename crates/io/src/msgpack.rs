//! MessagePack, as far as commands and events need it: nil, booleans, unsigned numbers, text, bytes, arrays.
//!
//! Readers are total over all byte strings, and copy no bytes. Addresses travel as their bytes: an IP address as 4 or 16, or
//! as 20 where the last 4 are the interface number of a link-local one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use treecast_core::frame::Mac;

/// These bytes are not what was to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads values one by one.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader at the start of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Is nothing left?
    pub fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    /// The length of an array; its elements follow.
    pub fn array(&mut self) -> Result<usize, Malformed> {
        match self.byte()? {
            first @ 0x90..=0x9f => Ok((first & 0x0f).into()),
            0xdc => self.number(2),
            0xdd => self.number(4),
            _ => Err(Malformed),
        }
    }

    /// An array of this length.
    pub fn array_of(&mut self, length: usize) -> Result<(), Malformed> {
        (self.array()? == length).then_some(()).ok_or(Malformed)
    }

    /// UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = match self.byte()? {
            first @ 0xa0..=0xbf => (first & 0x1f).into(),
            0xd9 => self.number(1)?,
            0xda => self.number(2)?,
            0xdb => self.number(4)?,
            _ => return Err(Malformed),
        };
        std::str::from_utf8(self.take(length)?).map_err(|_| Malformed)
    }

    /// Bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = match self.byte()? {
            0xc4 => self.number(1)?,
            0xc5 => self.number(2)?,
            0xc6 => self.number(4)?,
            _ => return Err(Malformed),
        };
        self.take(length)
    }

    /// An unsigned number.
    pub fn unsigned(&mut self) -> Result<u64, Malformed> {
        match self.byte()? {
            first @ 0..=0x7f => Ok(first.into()),
            first @ 0xcc..=0xcf => {
                let octets = self.take(1 << (first - 0xcc))?;
                Ok(octets.iter().fold(0, |value, octet| value << 8 | u64::from(*octet)))
            }
            _ => Err(Malformed),
        }
    }

    /// Passes over one value of any kind, with what is in it.
    pub fn skip(&mut self) -> Result<(), Malformed> {
        let mut left = 1u64;
        while left > 0 {
            left -= 1;
            let (length, elements) = match self.byte()? {
                first @ 0x80..=0x8f => (0, 2 * usize::from(first & 0x0f)),
                first @ 0x90..=0x9f => (0, (first & 0x0f).into()),
                first @ 0xa0..=0xbf => ((first & 0x1f).into(), 0),
                0..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => (0, 0),
                0xc1 => return Err(Malformed),
                0xc4 | 0xd9 => (self.number(1)?, 0),
                0xc5 | 0xda => (self.number(2)?, 0),
                0xc6 | 0xdb => (self.number(4)?, 0),
                0xc7 => (self.number(1)? + 1, 0),
                0xc8 => (self.number(2)? + 1, 0),
                0xc9 => (self.number(4)? + 1, 0),
                first @ 0xcc..=0xcf => (1 << (first - 0xcc), 0),
                first @ 0xd0..=0xd3 => (1 << (first - 0xd0), 0),
                0xca => (4, 0),
                0xcb => (8, 0),
                first @ 0xd4..=0xd8 => ((1 << (first - 0xd4)) + 1, 0),
                0xdc => (0, self.number(2)?),
                0xdd => (0, self.number(4)?),
                0xde => (0, 2 * self.number(2)?),
                0xdf => (0, 2 * self.number(4)?),
            };
            self.take(length)?;
            left += elements as u64;
        }
        Ok(())
    }

    fn is_nil(&mut self) -> bool {
        let nil = self.0.first() == Some(&0xc0);
        if nil {
            self.0 = &self.0[1..];
        }
        nil
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self, length: usize) -> Result<usize, Malformed> {
        Ok(self.take(length)?.iter().fold(0, |value, octet| value << 8 | usize::from(*octet)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// A value with one way to be written.
pub trait Field<'a>: Sized {
    /// Reads one.
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed>;
}

macro_rules! numbers {
    ($($kind:ty),+) => {
        $(impl Field<'_> for $kind {
            fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                reader.unsigned()?.try_into().map_err(|_| Malformed)
            }
        })+
    };
}
numbers!(u8, u16, u32, u64, usize);

impl Field<'_> for bool {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.byte()? {
            0xc2 => Ok(false),
            0xc3 => Ok(true),
            _ => Err(Malformed),
        }
    }
}

impl<'a> Field<'a> for &'a [u8] {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        reader.bytes()
    }
}

impl<'a, T: Field<'a>> Field<'a> for Option<T> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        if reader.is_nil() {
            return Ok(None);
        }
        T::read(reader).map(Some)
    }
}

impl<'a, T: Field<'a>> Field<'a> for Vec<T> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let length = reader.array()?;
        // Each element has a byte at least: no length makes this larger than what came.
        let mut values = Self::with_capacity(length.min(reader.0.len()));
        for _ in 0..length {
            values.push(T::read(reader)?);
        }
        Ok(values)
    }
}

/// The one field of Python's `MacAddress`.
impl Field<'_> for Mac {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array_of(1)?;
        reader.bytes()?.try_into().map_err(|_| Malformed)
    }
}

impl Field<'_> for u128 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.bytes()?.try_into().map(Self::from_be_bytes).map_err(|_| Malformed)
    }
}

/// A public key.
impl Field<'_> for [u8; 32] {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.bytes()?.try_into().map_err(|_| Malformed)
    }
}

impl Field<'_> for IpAddr {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let octets = reader.bytes()?;
        let v4 = <[u8; 4]>::try_from(octets).map(Into::into);
        v4.or_else(|_| <[u8; 16]>::try_from(octets).map(Into::into)).map_err(|_| Malformed)
    }
}

impl Field<'_> for SocketAddr {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array_of(2)?;
        let octets = reader.bytes()?;
        unpack(octets, u16::read(reader)?).ok_or(Malformed)
    }
}

/// The address of these bytes, as they travel, and a port.
pub fn unpack(octets: &[u8], port: u16) -> Option<SocketAddr> {
    let number = |octets: &[u8]| octets.iter().fold(0, |value, octet| value << 8 | u32::from(*octet));
    match (<[u8; 4]>::try_from(octets), octets.first_chunk::<16>(), octets.len()) {
        (Ok(v4), ..) => Some((Ipv4Addr::from(v4), port).into()),
        (_, Some(v6), 16 | 20) => Some(SocketAddrV6::new(Ipv6Addr::from(*v6), port, 0, number(&octets[16..])).into()),
        _ => None,
    }
}

/// The bytes of an address, as they travel: in the first so many.
pub fn pack(address: &SocketAddr) -> ([u8; 20], usize) {
    let mut octets = [0; 20];
    let length = match address {
        SocketAddr::V4(v4) => {
            octets[..4].copy_from_slice(&v4.ip().octets());
            4
        }
        SocketAddr::V6(v6) => {
            octets[..16].copy_from_slice(&v6.ip().octets());
            octets[16..].copy_from_slice(&v6.scope_id().to_be_bytes());
            if v6.scope_id() == 0 {
                16
            } else {
                20
            }
        }
    };
    (octets, length)
}

/// Writes values one behind the other.
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// An array; so many values are to follow.
    pub fn array(&mut self, length: usize) -> &mut Self {
        match length {
            0..=15 => self.0.push(0x90 | length as u8),
            _ => {
                self.0.push(0xdd);
                self.0.extend_from_slice(&(length as u32).to_be_bytes());
            }
        }
        self
    }

    /// Text of at most 255 bytes.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(&[0xd9, text.len() as u8]);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// A number.
    pub fn unsigned(&mut self, value: u32) -> &mut Self {
        match value {
            0..=0x7f => self.0.push(value as u8),
            _ => {
                self.0.push(0xce);
                self.0.extend_from_slice(&value.to_be_bytes());
            }
        }
        self
    }

    /// A number of 64 bits.
    pub fn long(&mut self, value: u64) -> &mut Self {
        self.0.push(0xcf);
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Bytes, less than 2^32.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        match u8::try_from(bytes.len()) {
            Ok(length) => self.0.extend_from_slice(&[0xc4, length]),
            Err(_) => {
                self.0.push(0xc6);
                self.0.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            }
        }
        self.0.extend_from_slice(bytes);
        self
    }

    /// Address and port.
    pub fn address(&mut self, address: &SocketAddr) -> &mut Self {
        let (octets, length) = pack(address);
        self.array(2).bytes(&octets[..length]).unsigned(address.port().into())
    }
}
