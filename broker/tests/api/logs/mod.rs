//! What lies on the disk after requests, and what is answered when that is damaged.

mod damage;
mod flushing;
mod packing;
