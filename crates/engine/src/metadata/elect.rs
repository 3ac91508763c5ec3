//! Who leads a partition.
