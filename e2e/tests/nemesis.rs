//! A short run of the nemesis, and failover trials of two kinds, by the programs behind `cargo xtask nemesis`
//! and `cargo xtask failover`.

#![allow(clippy::disallowed_methods, reason = "real processes run in real time")]

use std::process::Command;

fn passes(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().expect("the program was built");
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

#[test]
fn clients_see_nothing_wrong_while_brokers_are_harmed() {
    let faults = "kill,stop,halt,cut,cut-peers,cut-from-peers,cut-to-peers,severed,kill-all";
    passes(env!("CARGO_BIN_EXE_nemesis"), &["--seconds", "25", "--faults", faults]);
}

#[test]
fn acknowledgements_come_back_when_a_broker_is_killed() {
    passes(env!("CARGO_BIN_EXE_failover"), &["--trials", "1", "--kind", "kill"]);
}

#[test]
fn acknowledgements_come_back_when_a_broker_is_cut_off() {
    passes(env!("CARGO_BIN_EXE_failover"), &["--trials", "1", "--kind", "cut"]);
}
