//! The running server: sockets, one handler per API, shards, coordinators, metrics.
