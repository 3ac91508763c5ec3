//! Producer ids; transactions arrive later.

pub(super) mod init_producer_id;
