//! `klamm broker`: what the machine is, as its settings say.

use std::time::Duration;

use crate::process::{klamm, write};

#[test]
fn a_broker_knows_the_boot_by_the_file_that_it_is_told() {
    let dir = tempfile::tempdir().expect("there is room for a folder");
    write(&dir.path().join("boot"), "the-seventh\n");
    let mut broker = klamm(dir.path())
        .args(["broker", "--set", "klamm.boot.id.path=boot", "--set", "log.dirs=data"])
        .args(["--set", "listeners=PLAINTEXT://127.0.0.1:0", "--set", "klamm.http.listener="])
        .spawn()
        .expect("klamm starts");
    let noted = dir.path().join("data/.klamm_boot");
    for _ in 0..300 {
        if noted.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let told = std::fs::read_to_string(&noted);
    broker.kill().expect("it is our child");
    broker.wait().expect("it is our child");
    assert_eq!(told.expect("it was noted"), "the-seventh");
}
