//! Every setting, once: key, type, default, range, documentation, precedence.
