//! Chance from the seed: one stream per concern, apart for each run of each process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::dice::Dice;

use super::host::{Process, locked};
use super::random::Random;

pub(super) struct SimulatedDice {
    process: Arc<Process>,
    streams: Mutex<BTreeMap<&'static str, Random>>,
}

impl SimulatedDice {
    pub(super) fn new(process: Arc<Process>) -> Self {
        Self { process, streams: Mutex::default() }
    }
}

impl Dice for SimulatedDice {
    fn fill(&self, concern: &'static str, bytes: &mut [u8]) {
        locked(&self.streams)
            .entry(concern)
            .or_insert_with(|| self.process.random(concern))
            .fill(bytes);
    }
}
