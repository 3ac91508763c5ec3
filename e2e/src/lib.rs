//! Real processes, real clients, judged from outside.
