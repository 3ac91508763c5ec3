//! One bucket for all hosts. It can be slow, refuse, do what was asked and say that it failed, and list
//! what was there a moment ago.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use crate::bucket::{Bucket, BucketError, Condition, Object};
use crate::clock::LocalFuture;

use super::host::{Process, locked};
use super::random::{Random, digest};

/// How the bucket misbehaves. Chances are out of 1,000 requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketFaults {
    /// How long a request takes.
    pub latency: Range<Duration>,
    /// Nothing happens, and the answer is [`BucketError::Unavailable`].
    pub refused: u64,
    /// It happens, and the answer is [`BucketError::Unavailable`].
    pub answer_lost: u64,
    /// A list does not show the latest change.
    pub stale_list: u64,
}

impl Default for BucketFaults {
    fn default() -> Self {
        let latency = Duration::from_millis(5)..Duration::from_millis(50);
        Self { latency, refused: 0, answer_lost: 0, stale_list: 0 }
    }
}

/// The objects, and what the storm does to their readers.
pub(super) struct Store {
    state: Mutex<StoreState>,
}

struct StoreState {
    objects: BTreeMap<String, Object>,
    /// The latest changed key, and whether it was there before.
    latest: Option<(String, bool)>,
    tags: u64,
    faults: BucketFaults,
    random: Random,
}

impl Store {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new(StoreState {
                objects: BTreeMap::new(),
                latest: None,
                tags: 0,
                faults: BucketFaults::default(),
                random: Random::new(seed, &["bucket"]),
            }),
        }
    }

    pub(super) fn set_faults(&self, faults: BucketFaults) {
        locked(&self.state).faults = faults;
    }
}

pub(super) struct SimulatedBucket {
    pub(super) process: Arc<Process>,
    pub(super) store: Arc<Store>,
}

impl SimulatedBucket {
    /// Does `operation` after a while, unless it is refused; tells its result, unless that is lost.
    fn request<T: 'static>(
        &self,
        what: String,
        operation: impl FnOnce(&mut StoreState) -> Result<T, BucketError> + 'static,
    ) -> LocalFuture<Result<T, BucketError>> {
        let (process, store) = (Arc::clone(&self.process), Arc::clone(&self.store));
        Box::pin(async move {
            let (there, back, refused, lost) = {
                let StoreState { faults, random, .. } = &mut *locked(&store.state);
                let mut half = || random.duration(&faults.latency) / 2;
                let (there, back) = (half(), half());
                let mut of_1000 = |chance| random.chance(chance, 1000);
                (there, back, of_1000(faults.refused), of_1000(faults.answer_lost))
            };
            let wait = |core: &super::host::Core, time: Duration| {
                tokio::time::sleep_until(core.instant(core.elapsed() + time))
            };
            wait(&process.core, there).await;
            let result = if refused {
                Err(BucketError::Unavailable("refused".to_owned()))
            } else {
                let result = operation(&mut locked(&store.state));
                if lost { Err(BucketError::Unavailable("no answer".to_owned())) } else { result }
            };
            match &result {
                Ok(_) => process.record(format_args!("bucket {what}")),
                Err(error) => process.record(format_args!("bucket {what}: {error}")),
            }
            wait(&process.core, back).await;
            result
        })
    }
}

impl StoreState {
    fn changed(&mut self, key: &str) {
        self.latest = Some((key.to_owned(), self.objects.contains_key(key)));
    }
}

impl Bucket for SimulatedBucket {
    fn put(
        &self,
        key: &str,
        bytes: Bytes,
        condition: Condition,
    ) -> LocalFuture<Result<String, BucketError>> {
        let what = format!("put {key} {condition:?} {:016x}", digest(&bytes));
        let key = key.to_owned();
        self.request(what, move |state| {
            let found = state.objects.get(&key).map(|object| object.tag.as_str());
            let holds = match &condition {
                Condition::None => true,
                Condition::Absent => found.is_none(),
                Condition::Tag(tag) => found == Some(tag),
            };
            if !holds {
                return Err(BucketError::Conflict(key));
            }
            state.changed(&key);
            state.tags += 1;
            let tag = format!("tag-{}", state.tags);
            state.objects.insert(key, Object { bytes, tag: tag.clone() });
            Ok(tag)
        })
    }

    fn get(&self, key: &str) -> LocalFuture<Result<Object, BucketError>> {
        let (what, key) = (format!("get {key}"), key.to_owned());
        self.request(what, move |state| {
            state.objects.get(&key).cloned().ok_or(BucketError::NotFound(key))
        })
    }

    fn delete(&self, key: &str) -> LocalFuture<Result<(), BucketError>> {
        let (what, key) = (format!("delete {key}"), key.to_owned());
        self.request(what, move |state| {
            state.changed(&key);
            state.objects.remove(&key);
            Ok(())
        })
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> LocalFuture<Result<Vec<String>, BucketError>> {
        let what = format!("list {prefix} after {after:?} limit {limit}");
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.request(what, move |state| {
            let stale = state.random.chance(state.faults.stale_list, 1000);
            let mut keys: Vec<&String> = state.objects.keys().collect();
            if let (true, Some((key, was_there))) = (stale, &state.latest) {
                keys.retain(|listed| *listed != key);
                if *was_there {
                    keys.push(key);
                    keys.sort();
                }
            }
            let wanted = |key: &&&String| {
                key.starts_with(&prefix) && after.as_ref().is_none_or(|after| **key > after)
            };
            Ok(keys.iter().filter(wanted).take(limit).map(|key| (*key).clone()).collect())
        })
    }
}
