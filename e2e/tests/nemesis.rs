//! A short run of the nemesis, failover trials of two kinds, and losses of power, by the programs behind
//! `cargo xtask nemesis`, `cargo xtask failover` and `cargo xtask power`.

#![allow(clippy::disallowed_methods, reason = "real processes run in real time")]

use std::process::Command;

fn passes(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().expect("the program was built");
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

#[test]
fn clients_see_nothing_wrong_while_brokers_are_harmed() {
    passes(env!("CARGO_BIN_EXE_nemesis"), &["--runs", "1", "--seconds", "25"]);
}

#[test]
fn what_was_synced_outlives_a_loss_of_power_of_all_machines() {
    passes(env!("CARGO_BIN_EXE_power"), &["--loss", "all-power", "--rounds", "2"]);
}

#[test]
fn a_loss_of_power_that_nobody_notices_is_caught() {
    passes(env!("CARGO_BIN_EXE_power"), &["--loss", "unnoticed", "--rounds", "20"]);
}

#[test]
fn acknowledgements_come_back_when_a_broker_is_killed() {
    passes(env!("CARGO_BIN_EXE_failover"), &["--trials", "1", "--kind", "kill"]);
}

#[test]
fn acknowledgements_come_back_when_a_broker_is_cut_off() {
    passes(env!("CARGO_BIN_EXE_failover"), &["--trials", "1", "--kind", "cut"]);
}
