//! Objects with conditional writes, as S3-compatible stores offer them.

use bytes::Bytes;

use crate::clock::LocalFuture;

/// Why a bucket did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// There is no such object.
    #[error("no object: {0}")]
    NotFound(String),
    /// The condition of a conditional write did not hold.
    #[error("object exists or has changed: {0}")]
    Conflict(String),
    /// Try again: it is not known whether the write happened.
    #[error("bucket unavailable: {0}")]
    Unavailable(String),
}

/// The condition under which an object is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    None,
    /// Only if there is no such object (`If-None-Match: *`).
    Absent,
    /// Only if the object still has this tag (`If-Match`).
    Tag(String),
}

/// An object's content and its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The whole content.
    pub bytes: Bytes,
    /// Changes with every write.
    pub tag: String,
}

/// An object store.
pub trait Bucket: Send + Sync {
    /// Writes an object whole and returns its tag.
    fn put(
        &self,
        key: &str,
        bytes: Bytes,
        condition: Condition,
    ) -> LocalFuture<Result<String, BucketError>>;
    /// Reads an object whole.
    fn get(&self, key: &str) -> LocalFuture<Result<Object, BucketError>>;
    /// Removes an object. Succeeds if there is none.
    fn delete(&self, key: &str) -> LocalFuture<Result<(), BucketError>>;
    /// The keys that begin with `prefix` and come after `after`, sorted, at most `limit`.
    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> LocalFuture<Result<Vec<String>, BucketError>>;
}
