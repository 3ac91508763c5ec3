//! The storm: whole brokers in one thread, bad luck from a seed, an oracle, checks.
