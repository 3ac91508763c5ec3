//! 128-bit ids, printed as Kafka prints them.

use std::fmt;

/// A 128-bit id. Its text form is URL-safe base64 without padding, 22 characters, as in Kafka.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// All bits zero: "no id" on the wire.
    pub const ZERO: Self = Self([0; 16]);

    /// Whether this is "no id".
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bits = u128::from_be_bytes(self.0);
        let mut text = [0u8; 22];
        // 22 digits of 6 bits hold 132 bits: the last digit carries two bits, shifted left by four.
        text[21] = ALPHABET[((bits & 0b11) << 4) as usize];
        bits >>= 2;
        for digit in text[..21].iter_mut().rev() {
            *digit = ALPHABET[(bits & 0b11_1111) as usize];
            bits >>= 6;
        }
        f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a [`Uuid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 22 characters of URL-safe base64")]
pub struct ParseUuidError;

impl std::str::FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 22 {
            return Err(ParseUuidError);
        }
        let mut bits = 0u128;
        for (at, byte) in text.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|&b| b == byte).ok_or(ParseUuidError)? as u128;
            if at < 21 {
                bits = (bits << 6) | digit;
            } else if digit & 0b1111 == 0 {
                bits = (bits << 2) | (digit >> 4);
            } else {
                return Err(ParseUuidError);
            }
        }
        Ok(Self(bits.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::Uuid;

    #[test]
    fn text_form_round_trips_and_matches_kafka() {
        // Kafka's metadata topic id is 1: org.apache.kafka.common.Uuid.ONE_UUID.
        assert_eq!(Uuid(1u128.to_be_bytes()).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        for bits in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            let id = Uuid(bits.to_be_bytes());
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert!("short".parse::<Uuid>().is_err());
    }
}
