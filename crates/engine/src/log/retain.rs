//! Which of the oldest segments are due to go?
//!
//! A segment goes when all of it is committed and it lies below the log's start, is older than
//! `retention.ms` by its newest record, or the rest still holds `retention.bytes`. Always from the
//! oldest on, without gaps. The active segment goes too when it is due: the caller begins a new one first.

use super::config::LogConfig;
use super::state::LogState;
use crate::ids::Offset;

/// What is known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentFacts {
    /// Offset in its name.
    pub base: Offset,
    /// The offset after its last record.
    pub end: Offset,
    /// Bytes in it.
    pub size: u64,
    /// Largest timestamp of its records; if none has one, when the segment was last written to.
    pub newest_ms: i64,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// So many of the oldest segments go.
    pub segments: usize,
    /// The log's start afterwards.
    pub start: Offset,
}

/// Plans retention; `None` when all stays. `segments` ascend; the last one is active.
pub fn plan(
    segments: &[SegmentFacts],
    state: &LogState,
    config: &LogConfig,
    now_ms: i64,
) -> Option<Retention> {
    let mut total: u64 = segments.iter().map(|segment| segment.size).sum();
    let mut count = 0;
    for (index, segment) in segments.iter().enumerate() {
        let is_active = index + 1 == segments.len();
        if segment.end > state.high_watermark() || (is_active && segment.size == 0) {
            break;
        }
        let below_start = !is_active && segment.end <= state.start();
        let too_old = config
            .retention_ms
            .is_some_and(|retention_ms| now_ms.saturating_sub(segment.newest_ms) > retention_ms);
        let too_much = !is_active
            && config
                .retention_bytes
                .is_some_and(|retention_bytes| total - segment.size >= retention_bytes);
        if !below_start && !(config.delete && (too_old || too_much)) {
            break;
        }
        total -= segment.size;
        count = index + 1;
    }
    let last = segments.get(count.checked_sub(1)?)?;
    Some(Retention { segments: count, start: state.start().max(last.end) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &LogConfig, start: Offset, watermark: Offset) -> Option<(usize, Offset)> {
        let segments: Vec<SegmentFacts> = (0..4)
            .map(|index| SegmentFacts {
                base: index * 10,
                end: index * 10 + 10,
                size: 100,
                newest_ms: index * 1000,
            })
            .collect();
        let state = LogState::new(start, 40, watermark);
        plan(&segments, &state, config, 4000).map(|plan| (plan.segments, plan.start))
    }

    #[test]
    fn only_committed_segments_that_are_due_go_oldest_first() {
        let keep = LogConfig { retention_ms: None, ..LogConfig::default() };
        let by_time = |ms| LogConfig { retention_ms: Some(ms), ..keep.clone() };
        let by_size = |bytes| LogConfig { retention_bytes: Some(bytes), ..keep.clone() };
        assert_eq!(check(&keep, 0, 40), None);
        assert_eq!(check(&keep, 25, 40), Some((2, 25)));
        assert_eq!(check(&by_time(2500), 0, 40), Some((2, 20)));
        assert_eq!(check(&by_time(2500), 0, 15), Some((1, 10)));
        assert_eq!(check(&by_time(0), 0, 40), Some((4, 40)));
        assert_eq!(check(&by_size(200), 0, 40), Some((2, 20)));
        assert_eq!(check(&by_size(250), 0, 40), Some((1, 10)));
        assert_eq!(check(&by_size(0), 0, 40), Some((3, 30)));
    }

    #[test]
    fn a_compacted_topic_loses_nothing_to_age() {
        let config = LogConfig {
            retention_ms: Some(0),
            compact: true,
            delete: false,
            ..LogConfig::default()
        };
        assert_eq!(check(&config, 0, 40), None);
        assert_eq!(check(&config, 10, 40), Some((1, 10)));
    }
}
