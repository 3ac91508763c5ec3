//! The real twins.
