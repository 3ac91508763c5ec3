//! Settings of topics, brokers and groups.

mod resource;

pub(super) mod alter_configs;
pub(super) mod describe_configs;
pub(super) mod incremental_alter_configs;
