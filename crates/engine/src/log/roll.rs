//! Does the active segment take this batch, or does a new one begin with it?

use super::config::LogConfig;
use crate::ids::Offset;

/// What is known of the active segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveSegment {
    /// Offset in its name.
    pub base: Offset,
    /// Bytes in it.
    pub size: u64,
    /// Max timestamp of its first batch, if it has one that is not -1.
    pub first_timestamp: Option<i64>,
    /// Wall clock when it was begun (or opened).
    pub created_ms: i64,
    /// Entries of its offset index.
    pub index_entries: usize,
    /// Entries of its time index.
    pub time_entries: usize,
}

/// The batch that wants in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Its bytes.
    pub size: usize,
    /// Its last offset.
    pub last_offset: Offset,
    /// Its max timestamp.
    pub max_timestamp: i64,
}

/// Bytes of an entry of an offset index.
pub const INDEX_ENTRY_LEN: usize = 8;
/// Bytes of an entry of a time index.
pub const TIME_ENTRY_LEN: usize = 12;

/// Whether a new segment begins with `incoming`. Age is counted between records where they have
/// timestamps (so that replayed history rolls as it did), else by the wall clock.
pub fn must_roll(
    active: &ActiveSegment,
    incoming: &Incoming,
    config: &LogConfig,
    now_ms: i64,
) -> bool {
    let is_full = active.size + incoming.size as u64 > u64::from(config.segment_bytes);
    let age_ms = match active.first_timestamp {
        Some(first) => incoming.max_timestamp.saturating_sub(first),
        None => now_ms.saturating_sub(active.created_ms),
    };
    let is_old = age_ms > config.segment_ms.saturating_sub(config.segment_jitter_ms);
    let entries_max = config.index_size_max as usize;
    let index_full = active.index_entries >= entries_max / INDEX_ENTRY_LEN
        || active.time_entries + 1 >= entries_max / TIME_ENTRY_LEN;
    // Positions and offsets in the index are 31 bits, relative to the segment.
    let overflows = incoming.last_offset - active.base > i64::from(i32::MAX);
    overflows || (active.size > 0 && (is_full || is_old || index_full))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIVE: ActiveSegment = ActiveSegment {
        base: 100,
        size: 900,
        first_timestamp: Some(1000),
        created_ms: 0,
        index_entries: 0,
        time_entries: 0,
    };
    const INCOMING: Incoming = Incoming { size: 100, last_offset: 200, max_timestamp: 1000 };

    fn rolls(active: ActiveSegment, incoming: Incoming) -> bool {
        let config = LogConfig { segment_bytes: 1000, segment_ms: 50, ..LogConfig::default() };
        must_roll(&active, &incoming, &config, 10_000)
    }

    #[test]
    fn a_segment_rolls_when_full_old_or_out_of_offsets_but_never_when_empty() {
        assert!(!rolls(ACTIVE, INCOMING));
        assert!(rolls(ACTIVE, Incoming { size: 101, ..INCOMING }));
        assert!(rolls(ACTIVE, Incoming { max_timestamp: 1051, ..INCOMING }));
        assert!(!rolls(ACTIVE, Incoming { max_timestamp: -1, ..INCOMING }));
        assert!(rolls(ActiveSegment { first_timestamp: None, ..ACTIVE }, INCOMING));
        assert!(rolls(ACTIVE, Incoming { last_offset: 101 + i64::from(i32::MAX), ..INCOMING }));
        assert!(rolls(ActiveSegment { index_entries: 10 << 17, ..ACTIVE }, INCOMING));
        let empty = ActiveSegment { size: 0, first_timestamp: None, ..ACTIVE };
        assert!(!rolls(empty, Incoming { size: 5000, ..INCOMING }));
    }
}
