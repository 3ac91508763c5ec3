//! Records in, records out, and where they are.

pub(super) mod delete_records;
pub(super) mod fetch;
mod leader_hint;
pub(super) mod list_offsets;
pub(super) mod list_timestamps;
pub(super) mod offset_for_leader_epoch;
mod owners;
pub(super) mod produce;
mod reader;
