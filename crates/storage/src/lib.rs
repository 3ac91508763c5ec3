//! Carries the engine's decisions to a disk: segments, indexes, checkpoints.
