//! The four codecs of Kafka's record batches, each bounded in what it unpacks to.
//!
//! Snappy comes in two dresses: raw (librdkafka, Go) and the Java library's stream (a 16-byte head, then
//! length-prefixed blocks). Both are read; the stream is written, since every client reads it.

use std::borrow::Cow;
use std::io::{Read, Write};

/// How a batch's records are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// Not packed.
    #[default]
    None,
    /// RFC 1952, one or more members.
    Gzip,
    /// Snappy, raw or in the Java stream's framing.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 8878 (KIP-110).
    Zstd,
}

/// A codec, and how hard it tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packing {
    /// How records are packed.
    pub codec: Codec,
    /// The codec's own scale: 1 to 9 for gzip, up to 22 for zstd. `None` is its usual level; the others
    /// have one only.
    pub level: Option<i32>,
}

impl From<Codec> for Packing {
    fn from(codec: Codec) -> Self {
        Self { codec, level: None }
    }
}

/// What packed bytes may unpack to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At most this many bytes.
    pub output_max: usize,
    /// At most this many times the packed size (with [`Limits::RATIO_FLOOR`] always allowed).
    pub ratio_max: usize,
}

impl Limits {
    /// What any batch may unpack to, however small it is packed: records of one repeated byte are legal.
    pub const RATIO_FLOOR: usize = 1 << 20;

    /// The bound for `packed` bytes.
    pub fn bound(self, packed: usize) -> usize {
        self.output_max.min(packed.saturating_mul(self.ratio_max).max(Self::RATIO_FLOOR))
    }
}

impl Default for Limits {
    /// 64 MiB, and a thousandfold: gzip's and zstd's best on real data stays below.
    fn default() -> Self {
        Self { output_max: 64 << 20, ratio_max: 1000 }
    }
}

/// Why bytes could not be unpacked or packed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressError {
    /// The attribute bits name no codec.
    #[error("compression codec {0} does not exist")]
    UnknownCodec(i16),
    /// They are not what the codec writes.
    #[error("{codec} bytes are damaged: {detail}")]
    Damaged {
        /// The codec.
        codec: Codec,
        /// What the decoder says.
        detail: String,
    },
    /// They unpack to more than allowed.
    #[error("{codec} bytes unpack to more than {bound} bytes")]
    TooLarge {
        /// The codec.
        codec: Codec,
        /// How many were allowed.
        bound: usize,
    },
}

impl Codec {
    /// Reads the codec from attribute bits 0 to 2.
    ///
    /// # Errors
    /// When they are 5, 6 or 7.
    pub fn from_bits(attributes: i16) -> Result<Self, CompressError> {
        match attributes & 0b111 {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            other => Err(CompressError::UnknownCodec(other)),
        }
    }

    /// The attribute bits.
    pub fn bits(self) -> i16 {
        self as i16
    }

    /// The name in Kafka's settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

const STREAM_HEAD: [u8; 8] = *b"\x82SNAPPY\0";
const STREAM_BLOCK: usize = 32 << 10;
/// The window of zstd's highest level, which clients may choose. Of a window only what is unpacked is
/// touched, and that is bounded by [`Limits`].
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Unpacks `packed`, within `limits`.
///
/// # Errors
/// When the bytes are damaged or unpack to more than allowed.
pub fn decompress(
    codec: Codec,
    packed: &[u8],
    limits: Limits,
) -> Result<Cow<'_, [u8]>, CompressError> {
    let bound = limits.bound(packed.len());
    let unpacked = match codec {
        Codec::None => return Ok(Cow::Borrowed(packed)),
        Codec::Gzip => drain(codec, flate2::read::MultiGzDecoder::new(packed), bound)?,
        Codec::Snappy => unsnap(packed, bound)?,
        Codec::Lz4 => drain(codec, lz4_flex::frame::FrameDecoder::new(packed), bound)?,
        Codec::Zstd => {
            let damaged = |error| damaged(Codec::Zstd, error);
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(damaged)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(damaged)?;
            drain(codec, decoder, bound)?
        }
    };
    Ok(Cow::Owned(unpacked))
}

/// Packs `plain` so that every client reads it.
///
/// # Errors
/// When the encoder fails, which it does for want of memory only.
pub fn compress(packing: impl Into<Packing>, plain: &[u8]) -> Result<Cow<'_, [u8]>, CompressError> {
    let Packing { codec, level } = packing.into();
    let failed = |error: std::io::Error| damaged(codec, error);
    let packed = match codec {
        Codec::None => return Ok(Cow::Borrowed(plain)),
        Codec::Gzip => {
            let level = level.and_then(|level| u32::try_from(level.clamp(1, 9)).ok());
            let level = level.map_or_else(flate2::Compression::default, flate2::Compression::new);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(plain).map_err(failed)?;
            encoder.finish().map_err(failed)?
        }
        Codec::Snappy => snap_stream(plain)?,
        Codec::Lz4 => {
            let mut info = lz4_flex::frame::FrameInfo::new();
            info.block_mode = lz4_flex::frame::BlockMode::Independent;
            info.block_size = lz4_flex::frame::BlockSize::Max64KB;
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(plain).map_err(failed)?;
            encoder.finish().map_err(|error| damaged(codec, error))?
        }
        // Told the size beforehand, high levels take memory for it and not for the largest there is.
        Codec::Zstd => zstd::bulk::compress(plain, level.unwrap_or(3)).map_err(failed)?,
    };
    Ok(Cow::Owned(packed))
}

fn damaged(codec: Codec, error: impl std::fmt::Display) -> CompressError {
    CompressError::Damaged { codec, detail: error.to_string() }
}

fn drain(codec: Codec, reader: impl Read, bound: usize) -> Result<Vec<u8>, CompressError> {
    let mut out = Vec::new();
    // One byte more than allowed tells "too large" from "just so".
    let allowed = (bound as u64).saturating_add(1);
    reader.take(allowed).read_to_end(&mut out).map_err(|error| damaged(codec, error))?;
    if out.len() > bound {
        return Err(CompressError::TooLarge { codec, bound });
    }
    Ok(out)
}

fn unsnap(packed: &[u8], bound: usize) -> Result<Vec<u8>, CompressError> {
    let mut out = Vec::new();
    let Some(mut blocks) = packed.strip_prefix(&STREAM_HEAD) else {
        unsnap_block(packed, bound, &mut out)?;
        return Ok(out);
    };
    let cut = || damaged(Codec::Snappy, "a block is cut");
    // Version and compatible version: four bytes each, of no use.
    blocks = blocks.get(8..).ok_or_else(cut)?;
    while !blocks.is_empty() {
        let (length, rest) = blocks.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| cut())?;
        let (block, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        unsnap_block(block, bound, &mut out)?;
        blocks = rest;
    }
    Ok(out)
}

fn unsnap_block(block: &[u8], bound: usize, out: &mut Vec<u8>) -> Result<(), CompressError> {
    let length = snap::raw::decompress_len(block).map_err(|error| damaged(Codec::Snappy, error))?;
    let from = out.len();
    // Raw snappy packs at most 64 bytes into a 3-byte copy: a longer claim is a lie, told to make us
    // allocate.
    if length > bound.saturating_sub(from) || length > block.len().saturating_mul(64) {
        return Err(CompressError::TooLarge { codec: Codec::Snappy, bound });
    }
    out.resize(from + length, 0);
    let wrote = snap::raw::Decoder::new()
        .decompress(block, &mut out[from..])
        .map_err(|error| damaged(Codec::Snappy, error))?;
    out.truncate(from + wrote);
    Ok(())
}

fn snap_stream(plain: &[u8]) -> Result<Vec<u8>, CompressError> {
    let mut out = STREAM_HEAD.to_vec();
    out.extend_from_slice(&1u32.to_be_bytes());
    out.extend_from_slice(&1u32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in plain.chunks(STREAM_BLOCK) {
        let packed = encoder.compress_vec(block).map_err(|error| damaged(Codec::Snappy, error))?;
        let length = u32::try_from(packed.len()).expect("a block packs to less than 64 KiB");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&packed);
    }
    Ok(out)
}
